// A receiver for replyd's webhooks in Java 11 or newer, with nothing but what the JDK brings.
//
//     REPLYD_CRM_SECRET=whsec_... PORT=8000 java Receiver.java

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.Executors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Receiver {
    static final byte[] KEY =
        Base64.getDecoder().decode(System.getenv("REPLYD_CRM_SECRET").replaceFirst("^whsec_", ""));
    static final int PORT = Integer.parseInt(System.getenv().getOrDefault("PORT", "8000"));
    static final int BODY_MAX = 1024 * 1024;
    static final Set<String> SEEN = new HashSet<>(); // in earnest: a table with a unique key on the id

    // Your own work, done once for each webhook. What it throws makes the webhook come again.
    static void take(byte[] body) {
        System.out.write(body, 0, body.length);
        System.out.write('\n');
        System.out.flush();
    }

    // Whether the signature is ours, over these raw bytes, and no more than five minutes old.
    static boolean holds(Headers headers, byte[] body) throws GeneralSecurityException {
        String id = headers.getFirst("webhook-id");
        String sent = headers.getFirst("webhook-timestamp");
        String signatures = headers.getFirst("webhook-signature");
        if (id == null || id.isEmpty() || sent == null || !sent.matches("[0-9]{1,12}")) {
            return false;
        }
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(KEY, "HmacSHA256"));
        mac.update((id + "." + sent + ".").getBytes(StandardCharsets.UTF_8));
        String mine = "v1," + Base64.getEncoder().encodeToString(mac.doFinal(body));
        boolean isOurs = false;
        for (String one : signatures == null ? new String[0] : signatures.split(" ")) {
            isOurs |= MessageDigest.isEqual(mine.getBytes(), one.getBytes()); // in constant time
        }
        return isOurs && Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(sent)) <= 300;
    }

    static int receive(HttpExchange exchange) throws IOException, GeneralSecurityException {
        if (!exchange.getRequestMethod().equals("POST")) {
            return 405;
        }
        byte[] body = exchange.getRequestBody().readNBytes(BODY_MAX + 1);
        if (body.length > BODY_MAX) {
            return 413;
        }
        if (!holds(exchange.getRequestHeaders(), body)) {
            return 401;
        }
        String id = exchange.getRequestHeaders().getFirst("webhook-id");
        synchronized (SEEN) {
            if (!SEEN.contains(id)) { // deliveries are at least once: the id is the reply's own, for ever
                take(body);
                SEEN.add(id);
            }
        }
        return 204;
    }

    static void handle(HttpExchange exchange) throws IOException {
        int status = 500;
        try {
            status = receive(exchange);
        } catch (GeneralSecurityException | RuntimeException error) {
            System.err.println(error);
        }
        exchange.sendResponseHeaders(status, -1);
        exchange.close();
    }

    public static void main(String[] args) throws IOException {
        if (KEY.length < 24) { // with an empty key anybody can sign
            throw new IllegalStateException("REPLYD_CRM_SECRET is not whsec_ and base64");
        }
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", PORT), 0);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/", Receiver::handle);
        server.start();
        System.err.println("listening on http://127.0.0.1:" + PORT + "/");
    }
}
