// A client of etcd in Go for dissever: one JSON line asks it, one JSON line is its answer.
// The protocol stands in docs/clients.md. Only the standard library is used.
//
//	go build -o client .
//	dissever client-test ./client --address 127.0.0.1:2379
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

type request struct {
	ID    int             `json:"id"`
	F     string          `json:"f"`
	Key   *int            `json:"key"`
	Value json.RawMessage `json:"value"`
}

type answer struct {
	ID    int    `json:"id"`
	Type  string `json:"type"`
	Value any    `json:"value"`
	Error string `json:"error,omitempty"`
}

// errNotApplied: the request did not take effect and never will.
var errNotApplied = errors.New("not applied")

type client struct {
	http http.Client
	base string
}

func main() {
	// Every request is a POST: net/http sends a GET again by itself when its connection breaks, and
	// a POST only while not one byte of it was sent. One operation must stay one operation.
	c := &client{http: http.Client{Timeout: 5 * time.Second}}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			fmt.Fprintln(os.Stderr, "no request:", err)
			os.Exit(1)
		}
		value, err := c.apply(r)
		a := answer{ID: r.ID, Type: "ok", Value: value}
		if err != nil {
			a = answer{ID: r.ID, Type: "info", Error: err.Error()}
			if errors.Is(err, errNotApplied) || errors.Is(err, syscall.ECONNREFUSED) || r.F == "read" {
				a.Type = "fail"
			}
		}
		line, _ := json.Marshal(a)
		fmt.Println(string(line))
	}
}

func (c *client) apply(r request) (any, error) {
	switch r.F {
	case "open":
		var opening struct{ Address string }
		if err := json.Unmarshal(r.Value, &opening); err != nil {
			return nil, err
		}
		c.base = "http://" + opening.Address + "/v3/"
		return nil, nil
	case "ping":
		return nil, c.ask("maintenance/status", map[string]any{}, &struct{}{})
	case "read":
		return c.read(*r.Key)
	case "write":
		put := map[string]any{"key": name(*r.Key), "value": encoded(string(r.Value))}
		return nil, c.ask("kv/put", put, &struct{}{})
	case "cas":
		var values [2]int
		if err := json.Unmarshal(r.Value, &values); err != nil {
			return nil, err
		}
		return nil, c.compareAndSet(*r.Key, values[0], values[1])
	}
	return nil, fmt.Errorf("%w: unknown request %s", errNotApplied, r.F)
}

func (c *client) read(key int) (any, error) {
	var found struct {
		Kvs []struct{ Value []byte }
	}
	if err := c.ask("kv/range", map[string]any{"key": name(key)}, &found); err != nil {
		return nil, err
	}
	if len(found.Kvs) == 0 {
		return nil, nil
	}
	return strconv.Atoi(string(found.Kvs[0].Value))
}

func (c *client) compareAndSet(key, old, new int) error {
	isOld := map[string]any{
		"key": name(key), "target": "VALUE", "result": "EQUAL", "value": encoded(strconv.Itoa(old)),
	}
	put := map[string]any{"key": name(key), "value": encoded(strconv.Itoa(new))}
	transaction := map[string]any{
		"compare": []any{isOld}, "success": []any{map[string]any{"request_put": put}},
	}
	var done struct{ Succeeded bool }
	if err := c.ask("kv/txn", transaction, &done); err != nil {
		return err
	}
	if !done.Succeeded {
		return fmt.Errorf("%w: another value", errNotApplied)
	}
	return nil
}

// ask posts to etcd and reads its answer. After an error nobody knows what was done.
func (c *client) ask(path string, body, into any) error {
	asked, err := json.Marshal(body)
	if err != nil {
		return err
	}
	response, err := c.http.Post(c.base+path, "application/json", bytes.NewReader(asked))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd answered %s: %s", response.Status, text)
	}
	return json.Unmarshal(text, into)
}

func name(key int) string { return encoded(fmt.Sprintf("register/%d", key)) }

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
