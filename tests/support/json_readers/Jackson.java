import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.DataInputStream;
import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

/** Reads as Java programs do that use Jackson, at its most lenient. */
public class Jackson {
    public static class Message {
        public JsonNode method, id, params;
    }

    public static class Params {
        public JsonNode name, uri, taskId, ref, notifications;
    }

    public static class Ref {
        public JsonNode type, name, uri;
    }

    public static class Notifications {
        public JsonNode resourceSubscriptions;
    }

    private static final ObjectMapper MAPPER = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_JAVA_COMMENTS, JsonReadFeature.ALLOW_YAML_COMMENTS)
            .enable(JsonReadFeature.ALLOW_SINGLE_QUOTES, JsonReadFeature.ALLOW_UNQUOTED_FIELD_NAMES)
            .enable(JsonReadFeature.ALLOW_UNESCAPED_CONTROL_CHARS)
            .enable(JsonReadFeature.ALLOW_BACKSLASH_ESCAPING_ANY_CHARACTER)
            .enable(JsonReadFeature.ALLOW_LEADING_ZEROS_FOR_NUMBERS)
            .enable(JsonReadFeature.ALLOW_LEADING_PLUS_SIGN_FOR_NUMBERS)
            .enable(JsonReadFeature.ALLOW_LEADING_DECIMAL_POINT_FOR_NUMBERS)
            .enable(JsonReadFeature.ALLOW_TRAILING_DECIMAL_POINT_FOR_NUMBERS)
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .enable(JsonReadFeature.ALLOW_MISSING_VALUES, JsonReadFeature.ALLOW_TRAILING_COMMA)
            .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_PROPERTIES)
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .build();

    /** Reads a part into its type; what has another shape is left out. */
    private static <T> T part(JsonNode node, Class<T> type) throws ReflectiveOperationException {
        try {
            if (node != null && node.isObject()) return MAPPER.treeToValue(node, type);
        } catch (IOException e) {
            // Nothing of it counts.
        }
        return type.getDeclaredConstructor().newInstance();
    }

    private static String text(JsonNode value) {
        if (value == null) return "\t";
        if (value.isNumber()) return "n" + value.asDouble() + "\t";
        if (!value.isTextual()) return "o\t";
        return "s" + HexFormat.of().formatHex(value.textValue().getBytes(StandardCharsets.UTF_8)) + "\t";
    }

    private static String line(byte[] body) throws ReflectiveOperationException {
        Message message;
        try {
            message = MAPPER.readValue(body, Message.class);
        } catch (IOException e) {
            return "!";
        }
        if (message == null) return "!";
        Params params = part(message.params, Params.class);
        Ref ref = part(params.ref, Ref.class);
        JsonNode subscriptions = part(params.notifications, Notifications.class).resourceSubscriptions;
        StringBuilder said = new StringBuilder();
        for (JsonNode value : new JsonNode[] {message.method, message.id, params.name, params.uri, params.taskId,
                ref.type, ref.name, ref.uri}) said.append(text(value));
        if (subscriptions != null && subscriptions.isArray()) for (JsonNode one : subscriptions) said.append(text(one));
        return said.toString();
    }

    public static void main(String[] arguments) throws Exception {
        var in = new DataInputStream(new BufferedInputStream(System.in));
        var out = new PrintStream(System.out, false, StandardCharsets.US_ASCII);
        while (true) {
            int length;
            try {
                length = Integer.reverseBytes(in.readInt());
            } catch (EOFException e) {
                break;
            }
            out.append(line(in.readNBytes(length))).append("\n");
        }
        out.flush();
    }
}
