import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.KeySourceException;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.BadJOSEException;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSKeySelector;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jose.proc.SingleKeyJWSKeySelector;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.MalformedURLException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.text.ParseException;
import java.util.Set;
import java.util.concurrent.Executors;
import javax.crypto.spec.SecretKeySpec;

/** Checks Doorward's access tokens with Nimbus JOSE + JWT. */
public final class Guard {
    private final DefaultJWTProcessor<SecurityContext> processor = new DefaultJWTProcessor<>();

    private Guard(JWSKeySelector<SecurityContext> keys) {
        processor.setJWSKeySelector(keys);
        // No other kind of JWT is accepted.
        processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType("at+jwt")));
        var names = new JWTClaimsSet.Builder().issuer("doorward").build();
        var required = Set.of("sub", "sid", "role", "jti", "iat", "exp");
        var claims = new DefaultJWTClaimsVerifier<SecurityContext>("doorward", names, required);
        claims.setMaxClockSkew(0);
        processor.setJWTClaimsSetVerifier(claims);
    }

    /**
     * With the published keys of the Doorward at this URL. The source keeps them, and limits how often it fetches. The
     * algorithm is the server's, never the token's choice.
     */
    public static Guard byPublishedKeys(String url) throws MalformedURLException {
        var keys = JWKSourceBuilder.create(URI.create(url + "/.well-known/jwks.json").toURL()).build();
        return new Guard(new JWSVerificationKeySelector<>(JWSAlgorithm.ES256, keys));
    }

    /** With Doorward's shared secret (JWT_SECRET). */
    public static Guard bySecret(String secret) {
        var key = new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HmacSHA256");
        return new Guard(new SingleKeyJWSKeySelector<>(JWSAlgorithm.HS256, key));
    }

    /** The claims of a good token. After a KeySourceException the token may be good: answer it with 503. */
    public JWTClaimsSet check(String token) throws ParseException, BadJOSEException, JOSEException {
        return processor.process(token, null);
    }

    /** Answers a request that {@code check} refused; without an exception, one without a token. */
    public static void refuse(HttpExchange request, Exception refused) throws IOException {
        var headers = request.getResponseHeaders();
        if (refused instanceof KeySourceException) {
            headers.set("Retry-After", "1");
            answer(request, 503, refused.getMessage());
            return;
        }
        // The second one makes clients refresh.
        headers.set("WWW-Authenticate", refused == null ? "Bearer" : "Bearer error=\"invalid_token\"");
        headers.add("Access-Control-Expose-Headers", "WWW-Authenticate");
        answer(request, 401, refused == null ? "no token" : refused.getMessage());
    }

    private static void answer(HttpExchange request, int status, String text) throws IOException {
        var body = text.getBytes(StandardCharsets.UTF_8);
        request.sendResponseHeaders(status, body.length);
        request.getResponseBody().write(body);
        request.close();
    }

    /** An API that returns the user of a request's token. */
    public static void main(String[] arguments) throws IOException {
        var secret = System.getenv("JWT_SECRET");
        var guard = secret != null ? bySecret(secret) : byPublishedKeys(System.getenv("DOORWARD_URL"));
        var port = Integer.parseInt(System.getenv().getOrDefault("PORT", "3000"));
        var server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", request -> {
            var authorization = request.getRequestHeaders().getFirst("Authorization");
            var parts = authorization == null ? new String[] {""} : authorization.split(" ", 2);
            if (!parts[0].equalsIgnoreCase("bearer")) {
                refuse(request, null);
                return;
            }
            try {
                var claims = guard.check(parts.length == 2 ? parts[1] : "");
                answer(request, 200, claims.getSubject() + " " + claims.getStringClaim("role"));
            } catch (ParseException | BadJOSEException | JOSEException refused) {
                refuse(request, refused);
            }
        });
        server.start();
        System.out.println("Listening on http://127.0.0.1:" + server.getAddress().getPort());
    }
}
