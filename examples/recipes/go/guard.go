package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// ErrUnavailable says that there are no keys to check with. The token may be good: answer it with 503.
var ErrUnavailable = errors.New("unavailable")

// Claims are the claims of a Doorward access token.
type Claims struct {
	Session string `json:"sid"`
	Role    string `json:"role"`
	jwt.RegisteredClaims
}

// Guard checks tokens with the published keys (ES256) of the Doorward at URL, or with its shared Secret (JWT_SECRET).
type Guard struct {
	URL    string
	Secret []byte

	lock      sync.Mutex
	keys      map[string]*ecdsa.PublicKey
	loadedAt  time.Time
	goodUntil time.Time
}

// Check returns the claims of a good token.
func (g *Guard) Check(token string) (*Claims, error) {
	algorithm := "ES256"
	if g.Secret != nil {
		algorithm = "HS256"
	}
	claims := &Claims{}
	_, err := jwt.ParseWithClaims(token, claims, g.key,
		jwt.WithValidMethods([]string{algorithm}), // the server's algorithm, never the token's choice
		jwt.WithIssuer("doorward"), jwt.WithAudience("doorward"),
		jwt.WithExpirationRequired(), jwt.WithStrictDecoding())
	if err != nil {
		return nil, err
	}
	if claims.Subject == "" || claims.Session == "" || claims.Role == "" || claims.IssuedAt == nil {
		return nil, errors.New("a claim is missing")
	}
	return claims, nil
}

func (g *Guard) key(token *jwt.Token) (any, error) {
	if token.Header["typ"] != "at+jwt" { // no other kind of JWT is accepted
		return nil, errors.New("not an access token")
	}
	if g.Secret != nil {
		return g.Secret, nil
	}
	kid, _ := token.Header["kid"].(string)
	g.lock.Lock()
	defer g.lock.Unlock()
	// Fetched after 5 minutes and for an unknown id, once in 10 seconds, so that a flood of invented ids costs nothing. If
	// a fetch fails, they are good for two more minutes.
	isOld := time.Now().After(g.goodUntil.Add(-2 * time.Minute))
	if (isOld || g.keys[kid] == nil) && time.Since(g.loadedAt) > 10*time.Second {
		g.loadedAt = time.Now()
		if keys, err := fetch(g.URL + "/.well-known/jwks.json"); err != nil {
			log.Printf("keys: %v; going on with those from before", err)
		} else {
			g.keys, g.goodUntil = keys, time.Now().Add(7*time.Minute)
		}
	}
	if time.Now().After(g.goodUntil) {
		return nil, ErrUnavailable
	}
	if key := g.keys[kid]; key != nil {
		return key, nil
	}
	return nil, errors.New("unknown key")
}

func fetch(url string) (map[string]*ecdsa.PublicKey, error) {
	answer, err := (&http.Client{Timeout: 5 * time.Second}).Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, answer.Status)
	}
	var published struct {
		Keys []struct{ Kid, Kty, Crv, X, Y string }
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&published); err != nil {
		return nil, err
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, key := range published.Keys {
		x, errX := base64.RawURLEncoding.DecodeString(key.X)
		y, errY := base64.RawURLEncoding.DecodeString(key.Y)
		if key.Kty == "EC" && key.Crv == "P-256" && errX == nil && errY == nil {
			keys[key.Kid] = &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
		}
	}
	return keys, nil
}

// Refuse answers a request that Check refused; without an error, one without a token.
func Refuse(w http.ResponseWriter, err error) {
	if errors.Is(err, ErrUnavailable) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	challenge, text := "Bearer", "no token"
	if err != nil {
		challenge, text = `Bearer error="invalid_token"`, err.Error() // this makes clients refresh
	}
	w.Header().Set("WWW-Authenticate", challenge)
	w.Header().Add("Access-Control-Expose-Headers", "WWW-Authenticate")
	http.Error(w, text, http.StatusUnauthorized)
}
