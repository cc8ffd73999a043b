package fairqueue

import "time"

// activeFor is how long a namespace counts as one that needs workers after it has needed one. The steps of a run are that far
// apart at most.
const activeFor = 2 * time.Second

// budget is what namespaces have taken of the time of workers.
type budget struct {
	share    float64 // of the time of one worker
	burst    time.Duration
	accounts map[string]account
}

// account of one namespace.
type account struct {
	debt time.Duration // time of workers, which the share pays back
	at   time.Time     // when it was so, and the namespace needed a worker
}

// charge notes that a namespace needs workers, and what it has taken of their time. While nobody else has to wait for that, it owes at most twice the
// burst: else it would stand still for minutes once another comes.
func (b *budget) charge(namespace string, took time.Duration, now time.Time) {
	if b.share > 0 {
		debt := b.accounts[namespace].left(b.share, now) + took
		if most := 2 * b.burst; debt > most && !b.opposed(namespace, now) {
			debt = most
		}
		b.accounts[namespace] = account{debt, now}
	}
}

// left is what is left of the debt.
func (a account) left(share float64, now time.Time) time.Duration {
	return max(0, a.debt-time.Duration(float64(now.Sub(a.at))*share))
}

// rest is how long a namespace has to wait until it may have a worker again. It only waits while another that needs one has taken less: if all have taken
// more than their share, they take turns, and no worker stands idle.
func (b *budget) rest(namespace string, now time.Time) time.Duration {
	over := b.accounts[namespace].left(b.share, now) - b.burst
	if over <= 0 || !b.opposed(namespace, now) {
		return 0
	}
	return time.Duration(float64(over) / b.share)
}

// opposed reports whether another namespace needs workers that owes no more than the burst. It forgets those that owe nothing.
func (b *budget) opposed(namespace string, now time.Time) bool {
	opposed := false
	for other, account := range b.accounts {
		debt := account.left(b.share, now)
		switch {
		case other == namespace:
		case now.Sub(account.at) < activeFor:
			opposed = opposed || debt <= b.burst
		case debt == 0:
			delete(b.accounts, other)
		}
	}
	return opposed
}
