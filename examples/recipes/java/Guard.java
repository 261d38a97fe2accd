import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
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
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.MalformedURLException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.text.ParseException;
import java.util.Set;
import javax.crypto.spec.SecretKeySpec;

/** Checks Doorward's access tokens with Nimbus JOSE + JWT. */
public final class Guard {
    private final DefaultJWTProcessor<SecurityContext> processor = new DefaultJWTProcessor<>();

    private Guard(JWSKeySelector<SecurityContext> keys) {
        processor.setJWSKeySelector(keys);
        // No other kind of JWT passes for an access token.
        processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType("at+jwt")));
        var names = new JWTClaimsSet.Builder().issuer("doorward").build();
        var required = Set.of("sub", "sid", "role", "jti", "iat", "exp");
        var claims = new DefaultJWTClaimsVerifier<SecurityContext>("doorward", names, required);
        claims.setMaxClockSkew(0);
        processor.setJWTClaimsSetVerifier(claims);
    }

    /**
     * By the published keys of the Doorward at this URL. The source keeps them, and limits how often it fetches. The
     * algorithm is the server's, never the token's choice.
     */
    public static Guard byPublishedKeys(String url) throws MalformedURLException {
        var keys = JWKSourceBuilder.create(URI.create(url + "/.well-known/jwks.json").toURL()).build();
        return new Guard(new JWSVerificationKeySelector<>(JWSAlgorithm.ES256, keys));
    }

    /** By the secret that Doorward shares (JWT_SECRET). */
    public static Guard bySecret(String secret) {
        var key = new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HmacSHA256");
        return new Guard(new SingleKeyJWSKeySelector<>(JWSAlgorithm.HS256, key));
    }

    /** The claims of a good token. A KeySourceException is no fault of the token's: answer it with 503. */
    public JWTClaimsSet check(String token) throws ParseException, BadJOSEException, JOSEException {
        return processor.process(token, null);
    }

    /** Reads one token a line, and says for each whose it is, or why it is refused. */
    public static void main(String[] arguments) throws IOException {
        var secret = System.getenv("JWT_SECRET");
        var guard = secret != null ? bySecret(secret) : byPublishedKeys(System.getenv("DOORWARD_URL"));
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (var line = lines.readLine(); line != null; line = lines.readLine()) {
            try {
                var claims = guard.check(line);
                System.out.println("ok " + claims.getSubject() + " " + claims.getStringClaim("role"));
            } catch (ParseException | BadJOSEException | JOSEException refused) {
                System.out.println("refused: " + refused.getMessage());
            }
        }
    }
}
