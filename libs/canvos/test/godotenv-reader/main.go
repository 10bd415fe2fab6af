// Reads .arg files the way Earthly and EarthBuild do. Each line of standard input is a JSON string, the
// text of one file; each line of standard output is what godotenv makes of it.
package main

import (
	"bufio"
	"encoding/json"
	"os"

	"github.com/joho/godotenv"
)

type answer struct {
	Values map[string]string `json:"values"`
	Error  string            `json:"error,omitempty"`
}

func read(line []byte) answer {
	var text string
	if err := json.Unmarshal(line, &text); err != nil {
		return answer{Error: "request: " + err.Error()}
	}
	values, err := godotenv.UnmarshalBytes([]byte(text))
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Values: values}
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 16<<20)
	output := json.NewEncoder(os.Stdout)
	for input.Scan() {
		if err := output.Encode(read(input.Bytes())); err != nil {
			os.Exit(1)
		}
	}
}
