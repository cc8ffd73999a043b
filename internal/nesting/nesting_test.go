package nesting

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

func TestWhatIsNestedTooDeepIsEmpty(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, content, want string }{
		{"a value of the most levels", `{"a":[1,{}]}`, `{"a":[1,{}]}`},
		{"a list too deep", `{"a":[[1,[2]]],"b":[3]}`, `{"a":[[]],"b":[3]}`},
		{"an object too deep", `[[{"a":"}","b":{"c":1}},4],5]`, `[[{},4],5]`},
		{"brackets in texts", `[["[[[","\"[["],"{"]`, `[["[[[","\"[["],"{"]`},
		{"an escaped backslash before the end of a text", `[["\\",[1,"\\\"]"]]]`, `[["\\",[]]]`},
		{"one value after another", "[[[1]]]\n[[[2]],3]\n", "[[[]]]\n[[[]],3]\n"},
		{"what is no JSON", `}}]{"a`, `}}]{"a`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for name, reader := range map[string]io.Reader{
				"at once": strings.NewReader(test.content), "byte by byte": iotest.OneByteReader(strings.NewReader(test.content)),
			} {
				read, err := io.ReadAll(&limited{ReadCloser: io.NopCloser(reader), most: 2})
				if err != nil || string(read) != test.want {
					t.Errorf("%s: read %q (%v), want %q", name, read, err, test.want)
				}
			}
		})
	}
}

func TestOnlyJSONIsLimited(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", mostLevels+5) + "1" + strings.Repeat("]", mostLevels+5)
	for _, test := range []struct {
		contentType string
		depth       int
	}{
		{"application/json", mostLevels + 1}, {"application/json;stream=watch", mostLevels + 1}, {"application/vnd.kubernetes.protobuf", mostLevels + 5},
	} {
		answers := roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{Header: http.Header{"Content-Type": {test.contentType}}, Body: io.NopCloser(strings.NewReader(deep))}, nil
		})
		response, err := Limit(answers).RoundTrip(&http.Request{})
		if err != nil {
			t.Fatal(err)
		}
		if content, err := io.ReadAll(response.Body); err != nil || Depth(content) != test.depth {
			t.Errorf("%s: %d levels (%v), want %d", test.contentType, Depth(content), err, test.depth)
		}
		_ = response.Body.Close() // a reader of a string
	}
}

func FuzzLimited(f *testing.F) {
	for _, seed := range []string{`{"a":[[1,[2]]],"b":[3]}`, `"\\\""`, "[[[1]]]\n{}", `{"a":"\ud83d[","b":[[{}]]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		const most = 2
		read, err := io.ReadAll(&limited{ReadCloser: io.NopCloser(bytes.NewReader(content)), most: most})
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(content) {
			return
		}
		if !json.Valid(read) || Depth(read) > most+1 {
			t.Errorf("%q became %q", content, read)
		}
		if Depth(content) <= most && !bytes.Equal(read, content) {
			t.Errorf("%q became %q, and is not too deep", content, read)
		}
	})
}

func BenchmarkLimited(b *testing.B) {
	content := []byte(`{"kind":"List","items":[` + strings.Repeat(`{"metadata":{"name":"monthly","labels":{"a":"b"}},"spec":{"text":"a text of some length, as they are"}},`, 10_000) + `{}]}`)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if _, err := io.Copy(io.Discard, &limited{ReadCloser: io.NopCloser(bytes.NewReader(content)), most: mostLevels}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestValuesOfADocumentAreCounted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		document string
		values   int // at least
	}{
		"a list of numbers":                   {`[0,0,0]`, 3},
		"a list of nothing":                   {`[null,null,null]`, 3},
		"a list of objects":                   {`[{},{},{}]`, 3 * objectValues},
		"lists in lists":                      {`[[[]]]`, 3},
		"members of an object":                {`{"a":0,"b":0,"c":0}`, 3},
		"what looks like values in a text":    {`",,,[[[{{{"`, 1},
		"a text with a quotation mark":        {`"\",,,"`, 1},
		"a text with a backslash at its end":  {`["\\",0,0]`, 3},
		"a text without an end":               {`"`, 1},
		"a text that ends with the backslash": {`"\`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			most := Values([]byte(test.document))
			if most < test.values || most > 3*test.values {
				t.Errorf("%d values, want about %d", most, test.values)
			}
		})
	}
}
