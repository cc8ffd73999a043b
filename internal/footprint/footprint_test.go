package footprint

import (
	"strings"
	"testing"
	"time"
)

func TestOf(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("x", 1000)
	type inner struct{ Text string }
	for name, test := range map[string]struct {
		value       any
		least, most int
	}{
		"nothing":            {nil, 0, 0},
		"a nil pointer":      {(*inner)(nil), 0, 0},
		"a number":           {new(int64), 8, 8},
		"a text":             {&inner{text}, 1016, 1016},
		"a list of texts":    {&[]string{text, text}, 2056, 2056},
		"what is allocated":  {new(make([]string, 1, 100)), 1624, 1624},
		"bytes":              {new([]byte(text)), 1024, 2000},
		"a map":              {&map[string]string{text: text}, 2008, 2100},
		"a list of structs":  {&[]inner{{text}, {}, {}}, 1072, 1072},
		"pointers":           {&[]*inner{{text}, nil}, 1050, 1060},
		"an interface":       {new(any(inner{text})), 1032, 1032},
		"an array":           {&[2]string{text, ""}, 1032, 1032},
		"a time, without it": {new(time.Now()), 24, 24},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if bytes := Of(test.value); bytes < test.least || bytes > test.most {
				t.Errorf("%d bytes, want %d to %d", bytes, test.least, test.most)
			}
		})
	}
	if Of(&inner{text}, &inner{text}) != 2*Of(&inner{text}) {
		t.Error("two values do not have the sum of each")
	}
}
