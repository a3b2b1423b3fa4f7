// One contestant of dqlite_client.py: Go's driver through database/sql, as dqlite-benchmark uses it,
// but against nodes that run already. It prints the latencies in ms, one line for each statement:
// "write 0.412", "read 0.101", "write error". One line more, "cpu 0.731", has the seconds of the
// processor that the work took.
//
//	CGO_ENABLED=0 go build -tags nosqlite3 . && ./go-dqlite 127.0.0.1:9001 1 write 5
//
// The arguments: address of the leader, number of workers, write, read or mixed, seconds.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"log"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/canonical/go-dqlite/client"
	"github.com/canonical/go-dqlite/driver"
)

const (
	schema = "CREATE TABLE IF NOT EXISTS model (key TEXT, value TEXT, UNIQUE(key))"
	write  = "INSERT OR REPLACE INTO model(key, value) VALUES(?, ?)"
	read   = "SELECT value FROM model WHERE key = ?"
)

type result struct {
	kind string
	took time.Duration
	err  error
}

func letters(rng *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + rng.Intn(26))
	}
	return string(b)
}

func work(db *sql.DB, seed int64, reads float64, until time.Time) []result {
	rng := rand.New(rand.NewSource(seed))
	ctx := context.Background()
	var results []result
	keys := []string{"seed"}
	for time.Now().Before(until) {
		if rng.Float64() < reads {
			var value string
			key := keys[rng.Intn(len(keys))]
			begun := time.Now()
			err := db.QueryRowContext(ctx, read, key).Scan(&value)
			results = append(results, result{"read", time.Since(begun), err})
			continue
		}
		key, value := letters(rng, 32), strings.Repeat("x", 512)+letters(rng, 512)
		begun := time.Now()
		_, err := db.ExecContext(ctx, write, key, value)
		results = append(results, result{"write", time.Since(begun), err})
		if err == nil {
			keys = append(keys, key)
		}
	}
	return results
}

// What the process has taken of the processor.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: go-dqlite ADDRESS WORKERS write|read|mixed SECONDS")
	}
	workers, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	reads, ok := map[string]float64{"write": 0, "mixed": 0.5, "read": 1}[os.Args[3]]
	if !ok {
		log.Fatalf("no workload %q", os.Args[3])
	}
	seconds, err := strconv.ParseFloat(os.Args[4], 64)
	if err != nil {
		log.Fatal(err)
	}
	store := client.NewInmemNodeStore()
	if err := store.Set(context.Background(), []client.NodeInfo{{Address: os.Args[1]}}); err != nil {
		log.Fatal(err)
	}
	dqlite, err := driver.New(store)
	if err != nil {
		log.Fatal(err)
	}
	sql.Register("dqlite", dqlite)
	db, err := sql.Open("dqlite", "benchmark")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxIdleConns(workers) // the default, 2, would reconnect all the time
	if _, err := db.Exec(schema); err != nil {
		log.Fatal(err)
	}
	if _, err := db.Exec(write, "seed", strings.Repeat("x", 1024)); err != nil {
		log.Fatal(err)
	}
	results := make([][]result, workers)
	begun := cpu()
	until := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	var group sync.WaitGroup
	for i := range results {
		group.Add(1)
		go func() {
			defer group.Done()
			results[i] = work(db, int64(i), reads, until)
		}()
	}
	group.Wait()
	took := cpu() - begun
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	fmt.Fprintf(out, "cpu %.6f\n", took.Seconds())
	for _, each := range results {
		for _, found := range each {
			if found.err != nil {
				fmt.Fprintf(out, "%s error\n", found.kind)
			} else {
				fmt.Fprintf(out, "%s %.6f\n", found.kind, float64(found.took)/1e6)
			}
		}
	}
}
