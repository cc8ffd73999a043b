package pipeline

import (
	"cmp"
	"context"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// settleWhatWasSent ends the sending of a run that is to be released. What the system has is exported, and can only be
// completed; what it rejected is held, and the rest is given back. It says false where the system has answered nothing.
func (a *attempt) settleWhatWasSent(ctx context.Context) (bool, error) {
	totals, err := a.database.PostingTotals(ctx, a.run.Fence())
	if err != nil {
		return false, err
	}
	if totals.Sent > 0 {
		if err := a.lookUpAll(ctx); err != nil {
			return false, err
		}
		if totals, err = a.database.PostingTotals(ctx, a.run.Fence()); err != nil {
			return false, err
		}
	}
	if totals.Acknowledged+totals.Rejected == 0 {
		return false, nil
	}
	return true, a.settle(ctx, a.whereabouts(ctx), cmp.Or(a.task.ReleaseReason, v1alpha1.ReasonReleased))
}

// whereabouts says where vouchers are that were sent. A release does not fail where that is not known.
func (a *attempt) whereabouts(ctx context.Context) map[string]string {
	p, err := a.reopen(ctx)
	if err != nil {
		return nil
	}
	return p.session.Describe()
}

// reopen opens a session of a run that is to be released.
func (a *attempt) reopen(ctx context.Context) (*posting, error) {
	if err := a.recall(); err != nil {
		return nil, err
	}
	poster, posts := a.exporter.(exporters.Poster)
	if !posts {
		return nil, failure.Stalled(v1alpha1.ReasonInternal, nil, "run %s has sent vouchers, and the exporter %s of this operator sends none", a.task.Name, a.exporter.Type())
	}
	own, err := a.Resolver.Credentials(ctx, a.export)
	if err != nil {
		return nil, err
	}
	a.credentials = own.Data
	return a.open(ctx, poster)
}

// lookUpAll finds out about every voucher whose outcome is unknown, for a run that is to be released. One that is not there
// is only given back when the system cannot be at work on it any more.
func (a *attempt) lookUpAll(ctx context.Context) error {
	p, err := a.reopen(ctx)
	if err != nil {
		return err
	}
	return p.settled(ctx)
}

// settled looks every voucher up whose outcome is unknown, and fails as long as the system may be at work on one.
func (p *posting) settled(ctx context.Context) error {
	for position := int64(0); ; {
		window, err := p.window(ctx, position, claims.VoucherSent)
		if err != nil || len(window) == 0 {
			return err
		}
		position = window[len(window)-1].Position
		missing, err := p.lookUp(ctx, window)
		if err != nil {
			return err
		}
		for i := range missing {
			if err := p.pending(&missing[i]); err != nil {
				return err
			}
		}
	}
}

// pending says until when the system may be at work on a voucher of unknown outcome; nil where it cannot be any more.
func (p *posting) pending(voucher *sent) error {
	if voucher.State != claims.VoucherSent || voucher.SentAgo >= p.terms.Settling {
		return nil
	}
	until := voucher.SentAt.Add(p.terms.Settling)
	return failure.Transient(v1alpha1.ReasonOutcomeUnknown, nil, "voucher %s was sent to the accounting system, which may be at work on it until %s; its claim is given back after that, if it is not there",
		voucher.Voucher, until.UTC().Format(time.RFC3339))
}
