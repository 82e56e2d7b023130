// Command produce renders the templates of cases.json with Go's text/template, and writes down what came out:
//
//	go run produce.go < cases.json > new.json && mv new.json cases.json
package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

type testCase struct {
	Template string          `json:"template"`
	Data     json.RawMessage `json:"data,omitempty"`
	Want     *string         `json:"want,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// Whole numbers become int, as the template language of stowage has it.
func plain(value any) any {
	switch v := value.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return int(i)
		}
		f, _ := v.Float64()
		return f
	case []any:
		for at := range v {
			v[at] = plain(v[at])
		}
	case map[string]any:
		for key := range v {
			v[key] = plain(v[key])
		}
	}
	return value
}

func text(values []any) []string {
	texts := []string{}
	for _, value := range values {
		texts = append(texts, value.(string))
	}
	return texts
}

var functions = template.FuncMap{
	"json":  func(value any) (string, error) { b, err := marshal(value); return b, err },
	"join":  func(values []any, separator string) string { return strings.Join(text(values), separator) },
	"split": func(value, separator string) []any {
		parts := []any{}
		for _, part := range strings.Split(value, separator) {
			parts = append(parts, part)
		}
		return parts
	},
	"lower": strings.ToLower,
	"upper": strings.ToUpper,
	"title": strings.Title,
	"pad": func(value string, before, after int) string {
		if value == "" {
			return value
		}
		return strings.Repeat(" ", before) + value + strings.Repeat(" ", after)
	},
	"truncate": func(value string, length int) string {
		if len(value) < length {
			return value
		}
		return value[:length]
	},
}

func marshal(value any) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return strings.TrimSpace(out.String()), err
}

func run(c *testCase) {
	c.Want, c.Error = nil, ""
	var data any
	if len(c.Data) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(c.Data))
		decoder.UseNumber()
		if err := decoder.Decode(&data); err != nil {
			panic(err)
		}
		data = plain(data)
	}
	parsed, err := template.New("t").Funcs(functions).Parse(c.Template)
	if err != nil {
		c.Error = "parse"
		return
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, data); err != nil {
		c.Error = "execute"
		return
	}
	want := out.String()
	c.Want = &want
}

func main() {
	var cases []testCase
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	os.Stdout.WriteString("[\n")
	for at := range cases {
		run(&cases[at])
		line, err := marshal(cases[at])
		if err != nil {
			panic(err)
		}
		os.Stdout.WriteString("  " + line)
		if at < len(cases)-1 {
			os.Stdout.WriteString(",")
		}
		os.Stdout.WriteString("\n")
	}
	os.Stdout.WriteString("]\n")
}
