// Reads one token a line, and says for each whose it is, or why it is refused.
//
// DOORWARD_URL names the server; JWT_SECRET is set where tokens are signed with it.
package main

import (
	"bufio"
	"fmt"
	"os"
)

func main() {
	guard := &Guard{URL: os.Getenv("DOORWARD_URL")}
	if secret := os.Getenv("JWT_SECRET"); secret != "" {
		guard.Secret = []byte(secret)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if claims, err := guard.Check(lines.Text()); err != nil {
			fmt.Println("refused:", err)
		} else {
			fmt.Println("ok", claims.Subject, claims.Role)
		}
	}
}
