package exporters

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/test/cputime"
)

type sample struct {
	Name   string         `json:"name"`
	Header bool           `json:"header"`
	Year   int            `json:"year"`
	Map    map[string]int `json:"map"`
	Rows   []struct {
		Value string `json:"value"`
	} `json:"rows"`
}

func TestOptionsAreDecodedOverTheDefaults(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]sample{
		``:                           {Name: "default", Header: true},
		`{}`:                         {Name: "default", Header: true},
		`null`:                       {Name: "default", Header: true},
		`{"name": null}`:             {Name: "default", Header: true},
		`{"name": "", "year": 2026}`: {Header: true, Year: 2026},
		` {"header": false} `:        {Name: "default"},
	} {
		got := sample{Name: "default", Header: true}
		if err := DecodeOptions([]byte(options), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v (%v), want %v", options, got, err, want)
		}
	}
}

func TestDefaultsInTagsHold(t *testing.T) {
	t.Parallel()
	type tagged struct {
		Mark   string `json:"mark" default:","`
		Guard  bool   `json:"guard" default:"true"`
		Length int    `json:"length" default:"4"`
		Other  string `json:"other"`
	}
	for options, want := range map[string]tagged{
		``:                            {Mark: ",", Guard: true, Length: 4},
		`{"mark": "", "other": "o"}`:  {Guard: true, Length: 4, Other: "o"},
		`{"guard": false,"length":0}`: {Mark: ","},
	} {
		var got tagged
		if err := DecodeOptions([]byte(options), &got); err != nil || got != want {
			t.Errorf("%s: %+v (%v), want %+v", options, got, err, want)
		}
	}
	var mistaken struct {
		Length int `default:"four"`
	}
	if err := DecodeOptions(nil, &mistaken); err == nil || !strings.Contains(err.Error(), "Length") {
		t.Errorf("a default that cannot be read: %v", err)
	}
}

func TestDefaultsOfListsAndMapsHoldWhereTheOptionIsAbsent(t *testing.T) {
	t.Parallel()
	type tagged struct {
		Columns []struct {
			Name  string `json:"name"`
			Width int    `json:"width"`
		} `json:"columns" default:"[{\"name\": \"date\", \"width\": 8}]"`
		Numbers map[string]int `json:"numbers" default:"{\"project\": 6}"`
		Inner   struct {
			Mark string `json:"mark" default:","`
		} `json:"inner"`
	}
	for options, want := range map[string]string{
		``:                              `{"columns":[{"name":"date","width":8}],"numbers":{"project":6},"inner":{"mark":","}}`,
		`{"columns": null}`:             `{"columns":[{"name":"date","width":8}],"numbers":{"project":6},"inner":{"mark":","}}`,
		`{"columns": [{"name": "x"}]}`:  `{"columns":[{"name":"x","width":0}],"numbers":{"project":6},"inner":{"mark":","}}`,
		`{"numbers": {"a": 1}}`:         `{"columns":[{"name":"date","width":8}],"numbers":{"a":1},"inner":{"mark":","}}`,
		`{"columns": [], "numbers":{}}`: `{"columns":[],"numbers":{},"inner":{"mark":","}}`,
		`{"inner": {"mark": "."}}`:      `{"columns":[{"name":"date","width":8}],"numbers":{"project":6},"inner":{"mark":"."}}`,
	} {
		var got tagged
		err := DecodeOptions([]byte(options), &got)
		text, _ := json.Marshal(got)
		if err != nil || string(text) != want {
			t.Errorf("%s: %s (%v), want %s", options, text, err, want)
		}
	}
	var mistaken struct {
		Columns []string `default:"[1]"`
	}
	err := DecodeOptions(nil, &mistaken)
	var users *OptionError
	if err == nil || !strings.Contains(err.Error(), "Columns") || errors.As(err, &users) {
		t.Errorf("a default that cannot be read: %v, want an error that blames no option of the user's", err)
	}
}

func TestOptionsThatAreRequired(t *testing.T) {
	t.Parallel()
	type required struct {
		Company string `json:"company" required:"true"`
		Inner   struct {
			Number int `json:"number" required:"true"`
		} `json:"inner"`
		Rows []struct {
			Value string `json:"value,omitempty" required:"true"`
		} `json:"rows"`
	}
	for options, want := range map[string]string{
		``:                 "company: is required; inner.number: is required",
		`{"company": " "}`: "company: is required; inner.number: is required",
		`{"company": "A"}`: "inner.number: is required",
		`{"company": "A", "inner": {"number": 1}, "rows": [{"value": "v"}, {}]}`: "rows[1].value: is required",
		`{"company": "A", "inner": {"number": 1}, "rows": [{"value": "v"}]}`:     "",
	} {
		err := DecodeOptions([]byte(options), &required{})
		var refused *OptionError
		if (err == nil) != (want == "") || err != nil && (!errors.As(err, &refused) || err.Error() != want) {
			t.Errorf("%s: %v, want %q", options, err, want)
		}
	}
}

// ruled has a rule of each kind, and one of its own.
type ruled struct {
	Mode   string            `json:"mode" default:"a" choices:"a|b"`
	Plan   string            `json:"plan" form:"^([0-9]{2})?$" otherwise:"is not two digits"`
	Keys   map[string]string `json:"keys" form:"^[A-Z]$" otherwise:"is not a capital"`
	Client int               `json:"client" required:"true" range:"1 to 99"`
	File   string            `json:"file" fileName:"true"`
}

// Check implements Checked.
func (r *ruled) Check() error {
	var mode, file error
	if r.Mode != "a" {
		mode = &OptionError{Field: "mode", Problem: "is only said if no rule in a tag says more"}
	}
	if r.File != "" && r.Plan == "" {
		file = &OptionError{Field: "file", Problem: "needs a plan"}
	}
	return errors.Join(mode, file)
}

func TestEveryOptionThatBreaksARuleIsNamed(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]string{
		`{"client": 1, "plan": "03", "file": "f", "keys": {"x": "A"}}`: "",
		`{"client": 100, "mode": "c", "plan": "3", "keys": {"y": "a", "x": "", "z": "Z"}, "file": "a/b", "Mode": 1}`: "Mode: is not an option of this exporter; options are case-sensitive; " +
			`mode: "c" is not one of ["a" "b"]; plan: is not two digits; keys.x: is not a capital; keys.y: is not a capital; client: 100 is not within 1 to 99; ` +
			"file: has a path separator or a control character; give the name of a file without a path",
		`{"mode": "b", "file": "f"}`: "client: is required; mode: is only said if no rule in a tag says more; file: needs a plan",
	} {
		err := DecodeOptions([]byte(options), &ruled{})
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%s: %v, want %q", options, err, want)
		}
		if all := OptionErrors(fmt.Errorf("the options: %w", err)); err != nil && len(all) != strings.Count(want, ": ") {
			t.Errorf("%s: %d options are named, want %d", options, len(all), strings.Count(want, ": "))
		}
	}
	var mistaken struct {
		Client int `json:"client" range:"few to many"`
	}
	if err := DecodeOptions(nil, &mistaken); err == nil || OptionErrors(err) != nil || !strings.Contains(err.Error(), "client") {
		t.Errorf("a rule that cannot be read: %v, want an error that blames no option of the user's", err)
	}
}

func TestOptionsAreDecodedStrictly(t *testing.T) {
	t.Parallel()
	tests := []struct{ options, want string }{
		{`{"nam": "x"}`, `nam: is not an option of this exporter; options are case-sensitive`},
		{`{"Name": "x"}`, `Name: is not an option of this exporter; options are case-sensitive`},
		{`{"rows": [{"value": "a"}, {"valu": "b"}]}`, `rows[1].valu: is not an option of this exporter; options are case-sensitive`},
		{`{"name": "a", "name": "b"}`, `name: occurs twice`},
		{`{"name": 1}`, `name: is or has a JSON number where a string belongs`},
		{`{"header": "true"}`, `header: is or has a JSON string where a boolean belongs`},
		{`{"year": 1.5}`, `year: is or has a JSON number 1.5 where a whole number belongs`},
		{`{"map": []}`, `map: is or has a JSON array where an object belongs`},
		{`{"map": {"a": true}}`, `map: is or has a JSON bool where a whole number belongs`},
		{`{"rows": {}}`, `rows: is or has a JSON object where a list belongs`},
		{`{"rows": [{"value": 1}]}`, `rows.value: is or has a JSON number where a string belongs`},
		{`"name"`, `the options are a JSON string, not an object`},
		{`{"name"`, `the options are not JSON: unexpected end of JSON input`},
		{`{} {}`, `the options are not JSON: invalid character '{' after top-level value`},
		{`{"name": "` + strings.Repeat("x", MaxOptionsSize) + `"}`, `the options have 65548 bytes, more than 65536`},
	}
	for _, test := range tests {
		err := DecodeOptions([]byte(test.options), &sample{})
		var refused *OptionError
		if !errors.As(err, &refused) || err.Error() != test.want {
			t.Errorf("%.60s: %v, want %s", test.options, err, test.want)
		}
	}
}

func FuzzDecodeOptions(f *testing.F) {
	for _, seed := range []string{``, `{}`, `{"rows": [{"value": "a"}], "map": {"a": 1}}`, `{"year": 1e400}`, `[[[[`, "{\"name\": \"\xff\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, options []byte) {
		var refused *OptionError
		if err := DecodeOptions(options, &sample{}); err != nil && !errors.As(err, &refused) {
			t.Errorf("%q: %v is no OptionError", options, err)
		}
	})
}

func TestFileNamesArePlain(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"monthly.csv": "", "Lön 2026.si": "", "a..b": "",
		"": "is empty", ".hidden": "begins with a dot", "..": "begins with a dot", "a/b": "path separator", `a\b`: "path separator",
		"a\nb": "control character", "manifest.json": "manifest", strings.Repeat("x", 201): "has 201 bytes",
	} {
		err := CheckFileName("fileName", name)
		if (err == nil) != (want == "") || err != nil && (!strings.HasPrefix(err.Error(), "fileName: ") || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}

// TestManyProblemsWithOptionsAreComparedOnce has as many as 64 KiB of options may have.
func TestManyProblemsWithOptionsAreComparedOnce(t *testing.T) {
	t.Parallel()
	const fields = 30_000
	var problems []error
	for i := range 2 * fields {
		problems = append(problems, &OptionError{Field: fmt.Sprintf("rows[%d].value", i%fields), Problem: fmt.Sprint(i)})
	}
	var all []error
	took := cputime.Of(t, func() { all = leaves(joined(problems)) })
	var first *OptionError
	if len(all) != fields || !errors.As(all[0], &first) || first.Problem != "0" {
		t.Errorf("%d problems are told of %d fields, the first one %v", len(all), fields, all[0])
	}
	if took > 2*time.Second {
		t.Errorf("it takes %s", took)
	}
}
