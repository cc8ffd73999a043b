package server

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/ledgerport/ledgerport/internal/console/burden"
	"github.com/ledgerport/ledgerport/internal/console/problem"
	"github.com/ledgerport/ledgerport/internal/share"
)

// Limits bound what is done at the same time.
type Limits struct {
	// Connections that are open.
	Connections int
	// Rate is how many requests a second one caller may make, and Burst how many at once.
	Rate, Burst int
	// Requests being answered, and those of one caller, which leaves as many to others. Those that wait and downloads are among them, and have limits
	// of their own.
	Requests, RequestsOfOne int
	// Returns is how many a second of a caller's requests that were refused are told to come again. Each further one is told a later time,
	// up to LongestReturn: those who wait for a place ask seldom, however many they are.
	Returns       int
	LongestReturn time.Duration
	// Reviews of tokens under way.
	Reviews int
	// Unanswered is what comes, in bytes, on connections on which no known caller is being answered: headers, above all, that do not end.
	// As much is held of requests of whom nothing is known yet.
	Unanswered int
	// Held is what requests have the process hold.
	Held burden.Limits
	// Stall is how long a client may take nothing of an answer.
	Stall time.Duration
}

// DefaultLimits are those of a server with a quarter of a gigabyte.
var DefaultLimits = Limits{
	Connections: 3000, Rate: 200, Burst: 400, Requests: 3000, RequestsOfOne: 1200, Returns: 20, LongestReturn: 2 * time.Minute, Reviews: 16,
	Unanswered: 32 << 20, Held: burden.DefaultLimits, Stall: 30 * time.Second,
}

// forgetAfter is when a caller is forgotten that asks for nothing; mostCallers are remembered.
const (
	forgetAfter = time.Minute
	mostCallers = 10_000
)

// limiter counts what callers do.
type limiter struct {
	Limits
	mu      sync.Mutex
	total   int
	callers map[string]*doings
	swept   time.Time
}

// doings are what one caller does.
type doings struct {
	pace, returns *rate.Limiter
	count         int
	last          time.Time
}

func newLimiter(limits Limits) *limiter {
	return &limiter{Limits: limits, callers: map[string]*doings{}}
}

// take lets a request of a caller be answered, or says why not. It is given back by a call of the function.
func (l *limiter) take(caller string, now time.Time) (giveBack func(), refused *problem.Problem) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	own := l.callers[caller]
	if own == nil {
		if len(l.callers) >= mostCallers {
			return nil, problem.Busy("too many callers ask at the same time; ask again")
		}
		own = &doings{pace: rate.NewLimiter(rate.Limit(l.Rate), l.Burst), returns: rate.NewLimiter(rate.Limit(l.Returns), l.Returns)}
		l.callers[caller] = own
	}
	own.last = now
	switch {
	case !own.pace.AllowN(now, 1):
		return nil, problem.Busy("you ask more than %d times a second; ask again later", l.Rate)
	case own.count >= l.RequestsOfOne:
		return nil, problem.Busy("%d of your requests are being answered, which is as many as may be; ask again when one is", own.count)
	case !share.Fits(int64(l.Requests), int64(l.total), int64(own.count), 1):
		return nil, problem.Busy("as many requests are being answered as may be; ask again")
	}
	own.count++
	l.total++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		own.count--
		l.total--
	}), nil
}

// untilReturn is in what time a caller's request that is refused may come again.
func (l *limiter) untilReturn(caller string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.callers[caller]
	if own == nil {
		return 0
	}
	turn := own.returns.ReserveN(now, 1)
	if wait := turn.DelayFrom(now); wait <= l.LongestReturn {
		return wait
	}
	turn.CancelAt(now)
	return l.LongestReturn
}

// sweep forgets those that have not asked for a while.
func (l *limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < forgetAfter && len(l.callers) < mostCallers {
		return
	}
	l.swept = now
	for caller, own := range l.callers {
		if own.count == 0 && now.Sub(own.last) > forgetAfter {
			delete(l.callers, caller)
		}
	}
}

// paced has a client take each part of an answer in time.
type paced struct {
	http.ResponseWriter
	connection *http.ResponseController
	stall      time.Duration
	// untilReturn is in what time the request may come again, should it be refused as one too many; nil for strangers.
	untilReturn func() time.Duration
	code        int
	bytes       int64
}

// WriteHeader implements http.ResponseWriter.
func (p *paced) WriteHeader(code int) {
	if p.code == 0 && code >= http.StatusOK {
		p.code = code
	}
	if code == http.StatusTooManyRequests && p.untilReturn != nil {
		after, _ := strconv.Atoi(p.Header().Get("Retry-After")) // none is 0
		p.Header().Set("Retry-After", strconv.Itoa(max(after, int(math.Ceil(p.untilReturn().Seconds())))))
	}
	p.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (p *paced) Write(content []byte) (int, error) {
	if p.code == 0 {
		p.code = http.StatusOK
	}
	p.within(p.stall)
	defer p.within(0) // what is not being written may take its time
	n, err := p.ResponseWriter.Write(content)
	p.bytes += int64(n)
	return n, err
}

// FlushError sends what is written. http.ResponseController calls it.
func (p *paced) FlushError() error {
	p.within(p.stall)
	defer p.within(0)
	return p.connection.Flush()
}

// within has the next writes end in time; 0 lets them take theirs.
func (p *paced) within(stall time.Duration) {
	var until time.Time
	if stall > 0 {
		until = time.Now().Add(stall)
	}
	_ = p.connection.SetWriteDeadline(until) // every connection can
}

// Unwrap lets http.ResponseController find the connection.
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }
