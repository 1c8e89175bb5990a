// Reads as Go programs do: into structs, keys without regard to case.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
)

type message struct {
	Method any `json:"method"`
	ID     any `json:"id"`
	Params struct {
		Name   any `json:"name"`
		URI    any `json:"uri"`
		TaskID any `json:"taskId"`
		Ref    struct {
			Type any `json:"type"`
			Name any `json:"name"`
			URI  any `json:"uri"`
		} `json:"ref"`
		Notifications struct {
			ResourceSubscriptions []any `json:"resourceSubscriptions"`
		} `json:"notifications"`
	} `json:"params"`
}

func text(value any) string {
	switch value := value.(type) {
	case string:
		return "s" + hex.EncodeToString([]byte(value))
	case json.Number:
		return "n" + string(value)
	case nil:
		return ""
	}
	return "o"
}

func line(body []byte) string {
	var m message
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	// What has another type than its field is left out, and the rest is read.
	var other *json.UnmarshalTypeError
	if err := decoder.Decode(&m); err != nil && !errors.As(err, &other) {
		return "!\n"
	}
	p := m.Params
	fields := []any{m.Method, m.ID, p.Name, p.URI, p.TaskID, p.Ref.Type, p.Ref.Name, p.Ref.URI}
	said := ""
	for _, field := range append(fields, p.Notifications.ResourceSubscriptions...) {
		said += text(field) + "\t"
	}
	return said + "\n"
}

func main() {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for {
		var length uint32
		if binary.Read(in, binary.LittleEndian, &length) != nil {
			return
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(in, body); err != nil {
			panic(err)
		}
		out.WriteString(line(body))
	}
}
