// Go: go run post.go report.json        (WEBHOOK, VAPI_SECRET)
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

func post(report []byte, tries int) (status int, answer []byte, err error) {
	client := &http.Client{Timeout: 30 * time.Second}
	for attempt := 1; ; attempt++ {
		request, err := http.NewRequest(http.MethodPost, os.Getenv("WEBHOOK"), bytes.NewReader(report))
		if err != nil {
			return 0, nil, err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("X-Vapi-Secret", os.Getenv("VAPI_SECRET"))
		wait := time.Duration(attempt*attempt) * time.Second
		response, err := client.Do(request)
		if err == nil {
			answer, err = io.ReadAll(response.Body)
			response.Body.Close()
			status = response.StatusCode
			if seconds, bad := strconv.Atoi(response.Header.Get("Retry-After")); bad == nil {
				wait = time.Duration(seconds) * time.Second
			}
		}
		passes := err != nil || status == 408 || status == 429 || status >= 500
		if !passes || attempt == tries {
			return status, answer, err
		}
		time.Sleep(wait) // repeats do no harm: the same report again is a duplicate
	}
}

func main() {
	report, err := os.ReadFile(os.Args[1])
	if err == nil {
		var status int
		var answer []byte
		if status, answer, err = post(report, 8); err == nil {
			fmt.Printf("%d %s\n", status, answer)
			if status < 300 {
				return
			}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
