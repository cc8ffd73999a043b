package expression

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

type values map[string]ref.Val

func (v values) Variable(name string) (ref.Val, bool) {
	value, ok := v[name]
	return value, ok
}

var line = values{
	"line.category":   types.String("travel"),
	"line.number":     types.Int(3),
	"line.dimensions": NewTexts(map[string]string{"project": "P1", "empty": ""}),
	"claim.at":        types.Timestamp{Time: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)},
}

func scope(t testing.TB) *Scope {
	t.Helper()
	s, err := NewScope(map[string]*cel.Type{"line.category": String, "line.number": Int, "line.dimensions": Texts, "claim.at": Timestamp})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		source string
		want   ref.Val
	}{
		{"line.category", types.String("travel")},
		{"(line.category)", types.String("travel")},
		{"line.category == 'travel' && line.number > 2", types.True},
		{"line.dimensions['project']", types.String("P1")},
		{"line.dimensions.project", types.String("P1")},
		{"line.dimensions['missing']", types.String("")},
		{"line.dimensions['missing'] == ''", types.True},
		{"'missing' in line.dimensions", types.False},
		{"'empty' in line.dimensions", types.True},
		{"line.category.upperAscii()", types.String("TRAVEL")},
		{"line.category.substring(0, 2) + string(line.number)", types.String("tr3")},
		{"claim.at.getFullYear()", types.Int(2026)},
		{"line.category.matches('^tr')", types.True},
	}
	for _, test := range tests {
		program, err := scope(t).Compile(test.source, String, Bool, Int)
		if err != nil {
			t.Errorf("%s: %v", test.source, err)
			continue
		}
		got, err := program.Eval(t.Context(), line)
		if err != nil || got.Equal(test.want) != types.True {
			t.Errorf("%s returned %v (%v), want %v", test.source, got, err, test.want)
		}
	}
}

func TestAPlainVariableIsKnownAsSuch(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"line.category": "line.category", "line.dimensions['x']": "", "line.category + ''": "", "'line.category'": "",
	} {
		program, err := scope(t).Compile(source, String)
		if err != nil || program.Variable() != want {
			t.Errorf("%s: variable %q (%v), want %q", source, program.Variable(), err, want)
		}
	}
}

func TestExpressionsThatCanNotWorkAreRefusedInOneLine(t *testing.T) {
	t.Parallel()
	tests := []struct{ source, words string }{
		{"", "does not compile"},
		{"line.colour", "there are line.category"},
		{"line.category ==", "1:17"},
		{"line.number", "of type int, not bool"},
		{"line.category.matches('(')", "matches"},
		{strings.Repeat("x", MaxLength+1), "more than"},
		// What takes time without a bound within one step.
		{"'%s'.format(['a']) == ''", "format is not available"},
		{"[[1]] == [[1]]", "a value of type list(list(int))"},
		{"[1].map(x, [x]).size() == 1", "a value of type list(list(int))"},
		{"[1, 'a'].size() == 2", "all of one type"},
		{"[dyn([1])].size() == 1", "all of one type"},
		{"[{'a': 1}] == []", "a value of type list(map(string, int))"},
		{"([1] + [2]).size() == 2", "adds lists"},
		{"[1].exists(x, [x] + [x] == [x])", "adds lists"},
		{"[[1,2,3]]" + strings.Repeat(".map(x, x"+strings.Repeat("+x", 60)+")", 5) + ".exists(x, x == x)", "a value of type"},
	}
	for _, test := range tests {
		_, err := scope(t).Compile(test.source, Bool)
		if err == nil || !strings.Contains(err.Error(), test.words) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.20q: %v, want one line with %q", test.source, err, test.words)
		}
	}
}

func TestEvaluationIsBounded(t *testing.T) {
	t.Parallel()
	ten := "[0,1,2,3,4,5,6,7,8,9]"
	nested := "a >= 0"
	for range 6 {
		nested = ten + ".all(a, " + nested + ")"
	}
	long := strings.Repeat("x", 1000)
	doubled := "[line.category]"
	for range 6 {
		doubled += ".map(x, x" + strings.Repeat(" + x", 15) + ")"
	}
	for name, source := range map[string]string{
		"loops":                     nested,
		"concat":                    doubled + "[0] == ''",
		"quote":                     strings.Repeat("strings.quote(", 60) + "line.category" + strings.Repeat(")", 60) + " == ''",
		"functions that others add": `"` + long + `".split("").map(x, copied("` + long + `")).size() == 0`,
		"replace":                   "line.category" + strings.Repeat(".replace('', line.category)", 60) + " == ''",
		"replace within one call":   "('" + long + "' + '" + long + "').replace('', '" + long + "') == ''",
		"join within one call":      "'" + long + long + "'.split('').join('" + long + "') == ''",
	} {
		added := cel.Function("copied", cel.Overload("copied_string", []*cel.Type{String}, String,
			cel.UnaryBinding(func(text ref.Val) ref.Val { return text })))
		s, err := NewScope(map[string]*cel.Type{"line.category": String}, added)
		if err != nil {
			t.Fatal(err)
		}
		program, err := s.Compile(source, Bool)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := program.Eval(t.Context(), line); err == nil || !strings.Contains(err.Error(), "cost") {
			t.Errorf("%s: %v, want an error that names the cost", name, err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := program.Eval(ended, line); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v, want context.Canceled", name, err)
		}
	}
}

func TestErrorsNameThePlaceAndQuoteNoValue(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"int(line.category) > 1":                              "1:4: a function refused its argument",
		"1 / (line.number - 3) > 0":                           "1:3: division by zero",
		"line.category.substring(0, 7) == ''":                 "1:24: a function refused its argument",
		"timestamp(line.dimensions['project']) > claim.at":    "1:10: a function refused its argument",
		"[1, 2][line.number] > 0":                             "1:7: a function refused its argument",
		"duration(line.category + 'travel') > duration('1s')": "1:9: a function refused its argument",
	} {
		program, err := scope(t).Compile(source, Bool)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := program.Eval(t.Context(), line); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", source, err, want)
		}
	}
}

func TestTextsAreAMap(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		"size(line.dimensions) == 2", "line.dimensions.exists(k, k == 'project')", "line.dimensions == {'project': 'P1', 'empty': ''}",
		"line.dimensions.map(k, line.dimensions[k]).join('') == 'P1'", "type(line.dimensions) == map", "dyn(line.dimensions)['project'] == 'P1'",
	} {
		program, err := scope(t).Compile(source, Bool)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got, err := program.Eval(t.Context(), line); err != nil || got != types.True {
			t.Errorf("%s: %v (%v), want true", source, got, err)
		}
	}
}

func FuzzCompileAndEvaluate(f *testing.F) {
	for _, seed := range []string{"line.category", "line.dimensions['a'] == ''", "[1,2].map(x, x*2)[0] > 1", "'%d'.format([line.number])", "\x00", "((((("} {
		f.Add(seed)
	}
	s := scope(f)
	f.Fuzz(func(t *testing.T, source string) {
		program, err := s.Compile(source, String, Bool, Int)
		if err != nil {
			return
		}
		_, _ = program.Eval(t.Context(), line) // whatever it says: it ends, and does not panic
	})
}

func BenchmarkEval(b *testing.B) {
	for name, source := range map[string]string{"variable": "line.category", "comparison": "line.dimensions['project'] == 'P1'"} {
		program, err := scope(b).Compile(source, String, Bool)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := program.Eval(b.Context(), line); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestOneStepMakesNoLongText has calls that multiply texts: what CEL counts when they have ended would be there by then.
func TestOneStepMakesNoLongText(t *testing.T) {
	const most = 64 << 20
	long := types.String(strings.Repeat("x", 10_000)) // as a text of a claim may be
	for _, source := range []string{
		"line.category.replace('', line.category) == ''",
		"(line.category + line.category).replace('x', line.category + line.category + line.category) == ''",
		"line.category.split('').join(line.category) == ''",
		"[line.category" + strings.Repeat(", line.category", 200) + "].join() == ''",
	} {
		program, err := scope(t).Compile(source, Bool)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = program.Eval(t.Context(), values{"line.category": long})
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "cost limit exceeded") || after.TotalAlloc-before.TotalAlloc > most {
			t.Errorf("%.60s: %v, and %d MiB were allocated", source, err, (after.TotalAlloc-before.TotalAlloc)>>20)
		}
	}
}

// TestAComparisonWithAConstantReadsNoMoreThanThat has a variable that is too long for any function.
func TestAComparisonWithAConstantReadsNoMoreThanThat(t *testing.T) {
	t.Parallel()
	long := values{"line.category": types.String(strings.Repeat("x", 2*maxText))}
	for source, affordable := range map[string]bool{
		"line.category != 'travel'": true, "'travel' != line.category": true, "line.category + 'y' != line.category": false,
	} {
		program, err := scope(t).Compile(source, Bool)
		if err != nil {
			t.Fatal(err)
		}
		if value, err := program.Eval(t.Context(), long); affordable != (value == types.True && err == nil) {
			t.Errorf("%s: %v (%v)", source, value, err)
		}
	}
}

// TestAListIsMadeOnce looks up a list of a variable in a loop.
func TestAListIsMadeOnce(t *testing.T) {
	t.Parallel()
	asked := &counting{values: values{"line.category": types.String("abcdefgh"), "line.dimensions": NewTexts(map[string]string{"a": "b"})}}
	program, err := scope(t).Compile("line.category.split('').all(c, line.dimensions['a'] == 'b' && line.dimensions.exists(d, d == 'a'))", Bool)
	if err != nil {
		t.Fatal(err)
	}
	if value, err := program.Eval(t.Context(), asked); err != nil || value != types.True || asked.dimensions != 1 {
		t.Errorf("%v (%v), and the dimensions were made %d times", value, err, asked.dimensions)
	}
}

type counting struct {
	values
	dimensions int
}

// Variable implements Variables.
func (c *counting) Variable(name string) (ref.Val, bool) {
	if name == "line.dimensions" {
		c.dimensions++
	}
	return c.values.Variable(name)
}
