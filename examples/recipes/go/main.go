// An API that returns the user of a request's token.
//
// DOORWARD_URL names the server; JWT_SECRET is set if tokens are signed with it. It listens on PORT, on this
// machine alone.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
)

func main() {
	guard := &Guard{URL: os.Getenv("DOORWARD_URL")}
	if secret := os.Getenv("JWT_SECRET"); secret != "" {
		guard.Secret = []byte(secret)
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "3000"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Listening on http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "bearer") {
			Refuse(w, nil)
		} else if claims, err := guard.Check(token); err != nil {
			Refuse(w, err)
		} else {
			fmt.Fprint(w, claims.Subject, " ", claims.Role)
		}
	})))
}
