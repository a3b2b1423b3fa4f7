// Porcupine on histories in files, for benchmarks/linearizability.py.
//
// Usage: porcupine MODEL LIMIT_S REPEATS FILE
//
// MODEL is one of
//
//	etcd      Porcupine's etcd logs; a failed cas says that the value was not old, as in its tests
//	etcd-drop the same logs; a failed cas says nothing
//	kv        Porcupine's texts of a key-value store, judged key by key
//	register  our JSON lines, judged key by key; what failed never happened
//
// Prints a JSON object: verdict (valid, invalid, unknown), engine_s of the check alone, text_s of
// reading and checking, operations. Times are the least of REPEATS runs, or of one run if the first
// takes long. Exit status: 0 done, 2 wrong usage or file.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	null      = -1 << 62
	longRunS  = 0.5
	lineBytes = 1 << 20
)

type input struct {
	f    byte // r, w or c: read, write, compare-and-set
	key  int
	a, b int
}

type output struct {
	value     int
	isFailed  bool
	isUnknown bool
}

type textInput struct{ f, key, value string }

type textOutput struct {
	value     string
	isUnknown bool
}

func registerModel() porcupine.Model {
	return porcupine.Model{
		PartitionEvent: func(history []porcupine.Event) [][]porcupine.Event {
			return partition(history, func(value interface{}) int { return value.(input).key })
		},
		Init: func() interface{} { return null },
		Step: func(state, in, out interface{}) (bool, interface{}) {
			now, asked, told := state.(int), in.(input), out.(output)
			switch {
			case asked.f == 'r':
				return told.isUnknown || told.value == now, state
			case asked.f == 'w':
				return true, asked.a
			case told.isUnknown && now != asked.a:
				return true, state
			case told.isFailed:
				return now != asked.a, state
			}
			return now == asked.a, asked.b
		},
		Hash: func(state interface{}) uint64 { return uint64(state.(int)) * 0x9E3779B97F4A7C15 },
	}
}

func textModel() porcupine.Model {
	return porcupine.Model{
		PartitionEvent: func(history []porcupine.Event) [][]porcupine.Event {
			return partition(history, func(value interface{}) string { return value.(textInput).key })
		},
		Init: func() interface{} { return "" },
		Step: func(state, in, out interface{}) (bool, interface{}) {
			now, asked, told := state.(string), in.(textInput), out.(textOutput)
			switch asked.f {
			case "get":
				return told.isUnknown || told.value == now, state
			case "put":
				return true, asked.value
			}
			return true, now + asked.value
		},
		Hash: func(state interface{}) uint64 {
			hash := fnv.New64a()
			hash.Write([]byte(state.(string)))
			return hash.Sum64()
		},
	}
}

// partition keeps the keys in order of first use, so that a run can be repeated.
func partition[K comparable](history []porcupine.Event, key func(interface{}) K) [][]porcupine.Event {
	place := map[K]int{}
	of := make([]int32, len(history))
	var parts [][]porcupine.Event
	for _, event := range history {
		if event.Kind == porcupine.CallEvent {
			k := key(event.Value)
			if _, isKnown := place[k]; !isKnown {
				place[k] = len(parts)
				parts = append(parts, nil)
			}
			of[event.Id] = int32(place[k])
		}
		part := of[event.Id]
		parts[part] = append(parts[part], event)
	}
	return parts
}

// recorder numbers operations and leaves the open ones to the end, as Porcupine wants it.
type recorder struct {
	events   []porcupine.Event
	open     map[int]int // process -> id
	crashed  []int       // ids
	ids      int
	unknown  interface{}
	observes bool
}

func (r *recorder) call(process int, value interface{}) {
	r.events = append(r.events, porcupine.Event{
		ClientId: process, Kind: porcupine.CallEvent, Value: value, Id: r.ids})
	r.open[process] = r.ids
	r.ids++
}

func (r *recorder) complete(process int, value interface{}) {
	r.events = append(r.events, porcupine.Event{
		ClientId: process, Kind: porcupine.ReturnEvent, Value: value, Id: r.open[process]})
	delete(r.open, process)
}

func (r *recorder) crash(process int) {
	r.crashed = append(r.crashed, r.open[process])
	delete(r.open, process)
}

// drop forgets the call of a process: it never happened.
func (r *recorder) drop(process int) {
	id := r.open[process]
	delete(r.open, process)
	for i := len(r.events) - 1; i >= 0; i-- {
		if r.events[i].Id == id {
			r.events = append(r.events[:i], r.events[i+1:]...)
			return
		}
	}
}

func (r *recorder) finish() []porcupine.Event {
	for _, id := range r.open {
		r.crashed = append(r.crashed, id)
	}
	for _, id := range r.crashed {
		r.events = append(r.events, porcupine.Event{
			Kind: porcupine.ReturnEvent, Value: r.unknown, Id: id})
	}
	return r.events
}

func number(word string) int {
	if word == "nil" {
		return null
	}
	value, err := strconv.Atoi(word)
	if err != nil {
		fail("expected a number, got " + word)
	}
	return value
}

// take records an event; the values are those of its line, null where it has fewer.
func (r *recorder) take(process int, kind, f string, key, a, b int) {
	switch {
	case kind == "invoke":
		r.call(process, input{f: f[0], key: key, a: a, b: b})
	case kind == "info":
		r.crash(process)
	case kind == "ok" && f == "read":
		r.complete(process, output{value: a})
	case kind == "ok":
		r.complete(process, output{})
	case f == "cas" && r.observes:
		r.complete(process, output{isFailed: true})
	default:
		r.drop(process)
	}
}

func (r *recorder) etcdLine(line string) {
	words := strings.Fields(strings.NewReplacer("[", " ", "]", " ", ":", "").Replace(line))
	if len(words) < 6 || words[3] == "nemesis" {
		return
	}
	values := [2]int{null, null}
	for i := range values {
		if len(words) > 6+i && words[4] != "info" && words[4] != "fail" {
			values[i] = number(words[6+i])
		}
	}
	r.take(number(words[3]), words[4], words[5], 0, values[0], values[1])
}

func (r *recorder) jsonLine(line string) {
	var event struct {
		Process, Key int
		Type, F      string
		Value        json.RawMessage
	}
	if err := json.Unmarshal([]byte(line), &event); err != nil {
		fail(err.Error())
	}
	values := []string{"nil", "nil"}
	if text := strings.Trim(string(event.Value), "[]"); text != "" {
		copy(values, strings.Split(strings.ReplaceAll(text, "null", "nil"), ","))
	}
	r.take(event.Process, event.Type, event.F, event.Key, number(values[0]), number(values[1]))
}

func (r *recorder) textLine(line string) {
	field := func(name string) string {
		_, rest, _ := strings.Cut(line, name)
		if strings.HasPrefix(rest, `"`) {
			value, _, _ := strings.Cut(rest[1:], `"`)
			return value
		}
		return strings.FieldsFunc(rest, func(c rune) bool { return c == ',' || c == '}' })[0]
	}
	process := number(field(":process "))
	if field(":type ") == ":invoke" {
		f := strings.TrimPrefix(field(":f "), ":")
		r.call(process, textInput{f, field(":key "), field(":value ")})
	} else {
		r.complete(process, textOutput{value: field(":value ")})
	}
}

func read(path, model string) []porcupine.Event {
	file, err := os.Open(path)
	if err != nil {
		fail(err.Error())
	}
	defer file.Close()
	r := &recorder{open: map[int]int{}, unknown: output{isUnknown: true}, observes: model == "etcd"}
	take := r.jsonLine
	switch model {
	case "etcd", "etcd-drop":
		take = r.etcdLine
	case "kv":
		take, r.unknown = r.textLine, textOutput{isUnknown: true}
	}
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, lineBytes), lineBytes)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) != "" {
			take(lines.Text())
		}
	}
	if lines.Err() != nil {
		fail(lines.Err().Error())
	}
	return r.finish()
}

type report struct {
	Verdict    string  `json:"verdict"`
	EngineS    float64 `json:"engine_s"`
	TextS      float64 `json:"text_s"`
	Operations int     `json:"operations"`
}

func measure(path, model string, limit time.Duration, repeats int) report {
	judge := registerModel()
	if model == "kv" {
		judge = textModel()
	}
	var best report
	var events []porcupine.Event
	for i := 0; i < repeats; i++ {
		began := time.Now()
		events = read(path, model)
		ready := time.Now()
		result := porcupine.CheckEventsTimeout(judge, events, limit)
		verdict := map[porcupine.CheckResult]string{
			porcupine.Ok: "valid", porcupine.Illegal: "invalid", porcupine.Unknown: "unknown"}[result]
		now := report{verdict, time.Since(ready).Seconds(), time.Since(began).Seconds(),
			len(events) / 2}
		if i == 0 {
			best = now
		}
		best.EngineS = min(best.EngineS, now.EngineS)
		best.TextS = min(best.TextS, now.TextS)
		if now.TextS > longRunS {
			return best
		}
	}
	for i := 0; i < repeats; i++ { // the check alone, on what was read
		ready := time.Now()
		porcupine.CheckEventsTimeout(judge, events, limit)
		best.EngineS = min(best.EngineS, time.Since(ready).Seconds())
	}
	return best
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(2)
}

func main() {
	if len(os.Args) != 5 {
		fail("usage: porcupine MODEL LIMIT_S REPEATS FILE")
	}
	limit := time.Duration(number(os.Args[2])) * time.Second
	found := measure(os.Args[4], os.Args[1], limit, number(os.Args[3]))
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		fail(err.Error())
	}
}
