// A receiver for replyd's webhooks in Go 1.19 or newer, with nothing but the standard library.
//
//	REPLYD_CRM_SECRET=whsec_... PORT=8000 go run receiver.go
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const bodyMax = 1024 * 1024

var (
	key  []byte
	lock sync.Mutex
	seen = map[string]bool{} // in earnest: a table with a unique key on the id
)

// take is your own work, done once for each webhook. Its error makes the webhook come again.
func take(body []byte) error {
	_, err := os.Stdout.Write(append(body, '\n'))
	return err
}

// holds says whether the signature is ours, over these raw bytes, and no more than five minutes old.
func holds(header http.Header, body []byte) bool {
	id, sent := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(sent, 10, 64)
	if id == "" || err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, sent, body)
	mine := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	isOurs := false
	for _, one := range strings.Split(header.Get("webhook-signature"), " ") {
		isOurs = hmac.Equal(mine, []byte(one)) || isOurs // in constant time
	}
	age := time.Now().Unix() - seconds
	return isOurs && -300 <= age && age <= 300
}

func receive(request *http.Request) int {
	if request.Method != http.MethodPost {
		return http.StatusMethodNotAllowed
	}
	body, err := io.ReadAll(io.LimitReader(request.Body, bodyMax+1))
	if err != nil {
		return http.StatusBadRequest
	}
	if len(body) > bodyMax {
		return http.StatusRequestEntityTooLarge
	}
	if !holds(request.Header, body) {
		return http.StatusUnauthorized
	}
	id := request.Header.Get("webhook-id")
	lock.Lock()
	defer lock.Unlock()
	if !seen[id] { // deliveries are at least once: the id is the reply's own, for ever
		if err := take(body); err != nil {
			log.Print(err)
			return http.StatusInternalServerError
		}
		seen[id] = true
	}
	return http.StatusNoContent
}

func main() {
	var err error
	encoded := strings.TrimPrefix(os.Getenv("REPLYD_CRM_SECRET"), "whsec_")
	if key, err = base64.StdEncoding.DecodeString(encoded); err != nil || len(key) < 24 {
		log.Fatal("REPLYD_CRM_SECRET is not whsec_ and base64")
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "8000"
	}
	server := http.Server{
		Addr:        "127.0.0.1:" + port,
		ReadTimeout: 30 * time.Second,
		Handler: http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
			response.WriteHeader(receive(request))
		}),
	}
	log.Printf("listening on http://%s/", server.Addr)
	log.Fatal(server.ListenAndServe())
}
