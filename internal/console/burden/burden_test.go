package burden_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/internal/console/burden"
)

func TestWhatIsHeldIsBounded(t *testing.T) {
	t.Parallel()
	scale := burden.NewScale(burden.Limits{All: 100, Free: 10, Small: 1000, Each: 90})
	one, another, other := scale.Begin("one"), scale.Begin("one"), scale.Begin("other")
	for _, step := range []struct {
		what string
		err  error
		want bool
	}{
		{"eighty of one", one.Add(80), true},
		{"eleven more of one, in another request", another.Add(11), false},
		{"ten more of one", another.Add(10), true},
		{"what is there already", one.Reach(80), true},
		{"forty of somebody else", other.Add(40), true},
		{"one more than all may have", other.Add(1), false},
		{"what is free of a further request", scale.Begin("other").Add(10), true},
	} {
		if (step.err == nil) != step.want || step.err != nil && !errors.Is(step.err, burden.TooMuch) {
			t.Errorf("%s: %v", step.what, step.err)
		}
	}
	one.End()
	one.End()
	if err := other.Add(40); err != nil {
		t.Errorf("what was taken away still counts: %v", err)
	}
	if one.Add(1) == nil {
		t.Error("more is held for a request that has ended")
	}
}

func TestWhatIsMadeIsHeldInsteadOfWhatWasRead(t *testing.T) {
	t.Parallel()
	scale := burden.NewScale(burden.Limits{All: 100, Each: 90})
	load := scale.Begin("one")
	ctx := burden.With(t.Context(), load)
	for _, step := range []struct {
		what string
		err  error
		want bool
	}{
		{"sixty that are read", load.Add(60), true},
		{"thirty that are made of them", burden.Make(ctx, 30), true},
		{"one more", burden.Make(ctx, 1), false},
		{"ten of all, which are sent", burden.Settle(ctx, 10), true},
		{"eighty in another request", scale.Begin("one").Add(80), true},
		{"one more that is sent", burden.Settle(ctx, 11), false},
		{"what nobody weighs", burden.Settle(burden.With(ctx, nil), 1000), true},
	} {
		if (step.err == nil) != step.want {
			t.Errorf("%s: %v", step.what, step.err)
		}
	}
}

// TestSeveralLargeCallersLeaveRoom has a tenant's people and applications, each of which is a caller, have held as much as each of them may.
func TestSeveralLargeCallersLeaveRoom(t *testing.T) {
	t.Parallel()
	scale := burden.NewScale(burden.DefaultLimits)
	for _, caller := range []string{"admin", "clerk", "application"} {
		load := scale.Begin(caller)
		for load.Add(32<<10) == nil {
		}
	}
	if err := scale.Begin("other").Add(4 << 20); err != nil {
		t.Errorf("a list of somebody else: %v", err)
	}
}

// TestManySmallRequestsAreBoundedInAll has many callers hold what is free of each request, in as many requests as a server answers at once.
func TestManySmallRequestsAreBoundedInAll(t *testing.T) {
	t.Parallel()
	scale := burden.NewScale(burden.DefaultLimits)
	all, requests := int64(0), 0
	for caller := range 6 {
		for range 500 {
			if scale.Begin(fmt.Sprint("caller ", caller)).Add(burden.DefaultLimits.Free) == nil {
				all += burden.DefaultLimits.Free
				requests++
			}
		}
	}
	if all > burden.DefaultLimits.Small {
		t.Errorf("%d requests hold %d MiB, apart from what is large; want %d at most", requests, all>>20, burden.DefaultLimits.Small>>20)
	}
	if err := scale.Begin("other").Add(32 << 10); err != nil {
		t.Errorf("a small request of somebody else: %v", err)
	}
}

// TestAnswersAreWeighed reads answers of a server through the transport.
func TestAnswersAreWeighed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line := strings.Repeat("a", 999)
		switch {
		case strings.Contains(r.URL.Path, "/many/"):
			line = strings.Repeat("1,", 400) + strings.Repeat(" ", 199)
		case strings.Contains(r.URL.Path, "/deep/"):
			line = "[[[[[[" + strings.Repeat("1,", 400) + "]]]]]]" + strings.Repeat(" ", 187)
		case strings.Contains(r.URL.Path, "/level5/"):
			line = "[[[[[" + strings.Repeat("1,", 400) + "]]]]]" + strings.Repeat(" ", 189)
		case strings.Contains(r.URL.Path, "/within/"):
			line = `"\",` + strings.Repeat(",", 994) + `"`
		}
		_, _ = io.WriteString(w, strings.Repeat(line+"\n", 10))
	}))
	defer server.Close()
	const file = "/apis/books.accounting.ledgerport.dev/v1alpha1/namespaces/files/exportruns/files/files/x"
	for path, most := range map[string]int64{ // what the load bears at least
		"/apis/accounting.ledgerport.dev/v1alpha1/namespaces/files/exportruns/files":  10_000,
		"/apis/accounting.ledgerport.dev/v1alpha1/namespaces/a/exportruns?watch=true": 999,
		file: 0,
		"/apis/accounting.ledgerport.dev/v1alpha1/namespaces/many/exportruns":              20 * 4_000,
		"/apis/accounting.ledgerport.dev/v1alpha1/namespaces/many/exportruns?watch=true":   20 * 400,
		"/apis/accounting.ledgerport.dev/v1alpha1/namespaces/within/exportruns?watch=true": 999, // a text
		"/apis/accounting.ledgerport.dev/v1alpha1/namespaces/deep/accountingexports":       10_000,
		"/apis/accounting.ledgerport.dev/v1alpha1/namespaces/level5/accountingexports":     20 * 4_000,
		"/apis/accounting.ledgerport.dev/v1alpha1/namespaces/level5/accountingexports/a":   10_000,
	} {
		for each, want := range map[int64]bool{most: true, most - 1: most == 0} {
			load := burden.NewScale(burden.Limits{All: 1 << 20, Each: each}).Begin("somebody")
			request, err := http.NewRequestWithContext(burden.With(context.Background(), load), http.MethodGet, server.URL+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := burden.Answers(http.DefaultTransport).RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if (err == nil) != want || want && len(content) != 10_000 {
				t.Errorf("%s within %d bytes: %d are read, %v", path, each, len(content), err)
			}
		}
	}
}
