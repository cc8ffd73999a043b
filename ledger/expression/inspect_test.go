package expression

import (
	"slices"
	"testing"
)

func TestAnExpressionNamesTheVariablesThatItReads(t *testing.T) {
	t.Parallel()
	for source, want := range map[string][]string{
		"'constant'":    nil,
		"line.category": {"line.category"},
		"line.category + string(line.number) + line.category":                  {"line.category", "line.number"},
		"[1, 2].exists(x, x == line.number) && line.dimensions['a'] == 'b'":    {"line.dimensions", "line.number", "x"},
		"line.dimensions[line.category] == '' ? 'x' : line.dimensions.project": {"line.category", "line.dimensions"},
	} {
		program, err := scope(t).Compile(source, String, Bool)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		// CEL names the accumulators of its macros with a @.
		got := slices.DeleteFunc(program.Variables(), func(name string) bool { return name[0] == '@' })
		if !slices.Equal(got, want) {
			t.Errorf("%s reads %q, want %q", source, got, want)
		}
	}
}

func TestAMemberOfAVariableIsKnownAsSuch(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"line.dimensions['project']":         "project",
		"(line.dimensions)['project']":       "project",
		"line.dimensions.project":            "project",
		"line.dimensions['']":                "",
		"line.dimensions[line.category]":     "-",
		"line.dimensions['project'] + ''":    "-",
		"{'project': 'P1'}['project']":       "-",
		"line.category":                      "-",
		"line.dimensions['a'].upperAscii()":  "-",
		"line.category.charAt(line.number)":  "-",
		"true ? line.dimensions['a'] : 'no'": "-",
	} {
		program, err := scope(t).Compile(source, String)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		variable, key, ok := program.Member()
		if ok != (want != "-") || ok && (variable != "line.dimensions" || key != want) {
			t.Errorf("%s: %q of %q (%t), want %q of line.dimensions", source, key, variable, ok, want)
		}
	}
}
