// The Go client of `make bench-streams`: github.com/ollama/ollama/api, told what to do as benches/peers/client.py is.
//
// Told "streams MODEL COUNT", it opens that many streams at once, a goroutine each, and tells as JSON what they cost.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/ollama/ollama/api"
	"golang.org/x/sys/unix"
)

type figures struct {
	CPU  float64   `json:"cpu"`
	Wall float64   `json:"wall"`
	Lags []float64 `json:"lags"`
	Text string    `json:"text"`
}

// clock gives microseconds.
func clock(id int32) (float64, error) {
	var spec unix.Timespec
	err := unix.ClockGettime(id, &spec)
	return float64(spec.Nano()) / 1e3, err
}

// read gives the text of a stream and by how many microseconds its end was read after the server sent its last line.
func read(client *api.Client, model string) (string, float64, error) {
	var text strings.Builder
	var sent time.Duration
	request := &api.ChatRequest{Model: model, Messages: []api.Message{{Role: "user", Content: "Why is the sky blue?"}}}
	err := client.Chat(context.Background(), request, func(part api.ChatResponse) error {
		text.WriteString(part.Message.Content)
		sent = part.TotalDuration
		return nil
	})
	if err != nil {
		return "", 0, err
	}
	ended, err := clock(unix.CLOCK_MONOTONIC)
	return text.String(), ended - float64(sent.Nanoseconds())/1e3, err
}

func streams(server *url.URL, model string, count int) (*figures, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	client := api.NewClient(server, &http.Client{Transport: transport})
	if count == 1 { // a burst comes over a connection that is open
		if _, _, err := read(client, "burst-2"); err != nil {
			return nil, err
		}
	}
	texts, lags, failures := make([]string, count), make([]float64, count), make([]error, count)
	debug.FreeOSMemory() // collects garbage, as the rows of Python do; what a round before left would cost this one
	cpuBefore, err := clock(unix.CLOCK_PROCESS_CPUTIME_ID)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() { texts[i], lags[i], failures[i] = read(client, model) })
	}
	all.Wait()
	wall := time.Since(began)
	cpuAfter, err := clock(unix.CLOCK_PROCESS_CPUTIME_ID)
	if err := errors.Join(append(failures, err)...); err != nil {
		return nil, err
	}
	for _, text := range texts {
		if text != texts[0] {
			return nil, errors.New("two streams have different texts")
		}
	}
	return &figures{cpuAfter - cpuBefore, float64(wall.Nanoseconds()) / 1e3, lags, texts[0]}, nil
}

func main() {
	server, err := url.Parse(os.Args[1])
	out := json.NewEncoder(os.Stdout)
	for told := bufio.NewScanner(os.Stdin); err == nil && told.Scan(); {
		var model string
		var count int
		var found *figures
		if _, err = fmt.Sscanf(told.Text(), "streams %s %d", &model, &count); err != nil {
			break
		}
		if found, err = streams(server, model, count); err == nil {
			err = out.Encode(found)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
