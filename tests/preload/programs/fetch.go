// fetch URL ...: all of them at once, one line each, in order.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

func fetch(url string) string {
	client := http.Client{Timeout: 15 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(body))
}

func main() {
	var waiting sync.WaitGroup
	said := make([]string, len(os.Args)-1)
	for i, url := range os.Args[1:] {
		waiting.Add(1)
		go func(i int, url string) {
			defer waiting.Done()
			said[i] = fetch(url)
		}(i, url)
	}
	waiting.Wait()
	fmt.Println(strings.Join(said, "\n"))
}
