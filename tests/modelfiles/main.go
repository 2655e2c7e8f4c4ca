// What Ollama's own parser makes of Modelfiles: a JSON list of texts on stdin, one of requests or errors on stdout.
package main

import (
	"encoding/json"
	"log"
	"os"
	"strings"

	"github.com/ollama/ollama/api"
	"github.com/ollama/ollama/parser"
)

type made struct {
	Text    string             `json:"text"`
	Request *api.CreateRequest `json:"request,omitempty"`
	Error   string             `json:"error,omitempty"`
}

func of(text, folder string) made {
	file, err := parser.ParseFile(strings.NewReader(text))
	if err != nil {
		return made{Text: text, Error: err.Error()}
	}
	request, err := file.CreateRequest(folder)
	if err != nil {
		return made{Text: text, Error: err.Error()}
	}
	return made{Text: text, Request: request}
}

func main() {
	var texts []string
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		log.Fatal(err)
	}
	all := []made{}
	for _, text := range texts {
		all = append(all, of(text, os.Args[1]))
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", " ")
	if err := out.Encode(all); err != nil {
		log.Fatal(err)
	}
}
