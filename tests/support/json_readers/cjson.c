/* Reads as C programs do that use cJSON: keys without regard to case, or with it where "exact" is given. */

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cJSON *(*item)(const cJSON *, const char *) = cJSON_GetObjectItem;

static const cJSON *get(const cJSON *object, const char *key) {
    return cJSON_IsObject(object) ? item(object, key) : NULL;
}

static void put(const cJSON *value) {
    if (cJSON_IsString(value)) {
        putchar('s');
        for (const char *at = value->valuestring; *at; at++) printf("%02x", (unsigned char)*at);
    } else if (cJSON_IsNumber(value)) {
        printf("n%.17g", value->valuedouble);
    } else if (value) {
        putchar('o');
    }
    putchar('\t');
}

static void read_body(const char *body) {
    cJSON *message = cJSON_Parse(body);
    if (!cJSON_IsObject(message)) {
        puts("!");
        cJSON_Delete(message);
        return;
    }
    const cJSON *params = get(message, "params"), *ref = get(params, "ref"), *one = NULL;
    const cJSON *subscriptions = get(get(params, "notifications"), "resourceSubscriptions");
    put(get(message, "method"));
    put(get(message, "id"));
    put(get(params, "name"));
    put(get(params, "uri"));
    put(get(params, "taskId"));
    put(get(ref, "type"));
    put(get(ref, "name"));
    put(get(ref, "uri"));
    if (cJSON_IsArray(subscriptions)) cJSON_ArrayForEach(one, subscriptions) put(one);
    putchar('\n');
    cJSON_Delete(message);
}

int main(int count, char **arguments) {
    if (count > 1 && !strcmp(arguments[1], "exact")) item = cJSON_GetObjectItemCaseSensitive;
    uint32_t length;
    while (fread(&length, sizeof length, 1, stdin) == 1) {
        char *body = malloc(length + 1);
        if (!body || fread(body, 1, length, stdin) != length) return 1;
        body[length] = 0;
        read_body(body);
        free(body);
    }
    return 0;
}
