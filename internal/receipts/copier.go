// Package receipts copies receipts from where an application keeps them to where an artifact goes: several at once, each whole or not at
// all. It knows of no run and no database.
package receipts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/panics"
	"github.com/ledgerport/ledgerport/ledger"
)

// Problem is why a receipt is not delivered, in one word; empty if it is.
type Problem string

const (
	// Missing: the store has nothing of that key.
	Missing Problem = "missing"
	// NotAttached: its run was ended before it is known that an accounting system has it.
	NotAttached Problem = "not attached"
	// TooLarge: it has more bytes than a receipt may have.
	TooLarge Problem = "too large"
	// Changed: it does not have the size or the hash that the application has of it.
	Changed Problem = "changed"
)

// Receipt is one receipt of a run.
type Receipt struct {
	ledger.Receipt
	// ClaimID and Voucher that it is of; the voucher as part of a file name, and as its ID.
	ClaimID, Voucher, VoucherID string
	// Object is what was delivered, and Problem why nothing was.
	Object  destinations.Object
	Problem Problem
	// Attached: it went to the voucher in an accounting system, not beside the files of an artifact.
	Attached bool
}

// Of returns the receipts of a voucher.
func Of(voucher *ledger.Voucher) []Receipt {
	of, name, id := make([]Receipt, 0, len(voucher.Receipts)), voucher.FileName(), voucher.ID()
	for _, r := range voucher.Receipts {
		of = append(of, Receipt{Receipt: r, ClaimID: voucher.ClaimID, Voucher: name, VoucherID: id})
	}
	return of
}

// Bounds of a block: about how many receipts are held at a time, and are copied before what became of them is recorded, and how long
// their texts may be. All that is recorded as it should be has the number first.
const (
	blockCount = 256
	blockTexts = 2 << 20
)

// Full reports whether receipts are enough for a block.
func Full(block []Receipt) bool {
	texts := 0
	for i := range block {
		r := &block[i]
		texts += len(r.Key) + len(r.Name) + len(r.MediaType) + len(r.SHA256) + len(r.File) + len(r.ClaimID) + len(r.Voucher)
	}
	return len(block) >= blockCount || texts >= blockTexts
}

// Directory of the receipts beside the files of an artifact. Each voucher has a directory of its own in it, because some destinations
// list a directory for each file that they write there.
const Directory = "receipts"

// Path of the receipt beside the files of its artifact.
func (r *Receipt) Path() string { return Directory + "/" + r.Voucher + "/" + r.File }

// Copier copies receipts of one run.
type Copier struct {
	From destinations.Store
	To   destinations.Destination
	// Run is the directory of the run at the destination: a key.
	Run string
	// Spool makes room on local disk for one receipt.
	Spool func() *artifact.Spool
	// Largest that a receipt may be, in bytes.
	Largest int64
	// Guard is asked before each receipt appears, by one at a time.
	Guard func() error
	// Look at the destination before each receipt: an attempt that died may have delivered it.
	Look bool
}

// Workers is how many receipts are copied at once.
const Workers = 8

// Copy copies receipts, and notes what became of each. It ends with the first error, when those that were under way have ended.
func (c *Copier) Copy(ctx context.Context, batch []Receipt) error {
	return Each(ctx, batch, func(ctx context.Context, r *Receipt) (err error) {
		r.Problem, r.Object, err = c.copy(ctx, r)
		return err
	})
}

// Each does something with receipts, several at once, until the first error.
func Each(ctx context.Context, batch []Receipt, do func(context.Context, *Receipt) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan *Receipt)
	var working sync.WaitGroup
	for range min(Workers, len(batch)) {
		working.Go(func() {
			for r := range next {
				if err := caught(func() error { return do(ctx, r) }); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range batch {
		if ctx.Err() != nil {
			break
		}
		next <- &batch[i]
	}
	close(next)
	working.Wait()
	return context.Cause(ctx)
}

// caught makes an error of a panic, which in a goroutine of its own would end the process.
func caught(do func() error) (err error) {
	defer panics.Catch(&err)
	return do()
}

// copy copies one receipt by way of the local disk, so that its hash is known before its first byte is sent.
func (c *Copier) copy(ctx context.Context, r *Receipt) (Problem, destinations.Object, error) {
	object := destinations.Object{MediaType: r.MediaType, Size: r.Size, SHA256: r.SHA256}
	if there, err := c.there(ctx, r, object); err != nil || there {
		return "", object, err
	}
	spool := c.Spool()
	defer spool.Discard()
	kept, problem, err := c.fetch(ctx, spool, r, &object)
	if err != nil || problem != "" {
		return problem, object, err
	}
	if there, err := c.there(ctx, r, object); err != nil || there {
		return "", object, err
	}
	return "", object, c.To.Put(ctx, c.at(r), object, destinations.Guarded(kept.Reader(), c.Guard))
}

// Keep reads receipts to local disk, several at once, and notes what became of each. What it returns of those without a problem, by their
// place, is there until it is discarded, which is to be done whatever the error.
func (c *Copier) Keep(ctx context.Context, batch []Receipt) (kept []*artifact.Content, discard func(), err error) {
	kept, spools, places := make([]*artifact.Content, len(batch)), make([]*artifact.Spool, len(batch)), map[*Receipt]int{}
	for i := range batch {
		spools[i], places[&batch[i]] = c.Spool(), i
	}
	err = Each(ctx, batch, func(ctx context.Context, r *Receipt) (err error) {
		r.Object = destinations.Object{MediaType: r.MediaType}
		i := places[r]
		kept[i], r.Problem, err = c.fetch(ctx, spools[i], r, &r.Object)
		return err
	})
	return kept, func() {
		for _, spool := range spools {
			spool.Discard()
		}
	}, err
}

// fetch reads one receipt to local disk, and notes its size and hash.
func (c *Copier) fetch(ctx context.Context, spool *artifact.Spool, r *Receipt, object *destinations.Object) (*artifact.Content, Problem, error) {
	key := keyIn(c.From, r.Key)
	if key == "" {
		return nil, Missing, nil
	}
	content, err := c.From.Open(ctx, key)
	if absent(err) {
		return nil, Missing, nil
	}
	if err != nil {
		return nil, "", err
	}
	kept, problem, err := c.keep(spool, content, r, object)
	return kept, problem, errors.Join(err, content.Close())
}

// at is where a receipt goes.
func (c *Copier) at(r *Receipt) string { return c.Run + "/" + r.Path() }

// there reports whether the destination has the object of a receipt, of which size and hash are known.
func (c *Copier) there(ctx context.Context, r *Receipt, object destinations.Object) (bool, error) {
	if !c.Look || object.Size < 0 || object.SHA256 == "" {
		return false, nil
	}
	there, err := c.To.Stat(ctx, c.at(r))
	if absent(err) {
		return false, nil
	}
	return err == nil && there.Same(object), err
}

// keyIn turns what an application has as the key of a receipt into a key of a store; it is empty if it is none of that store's. A URL that
// begins with the location of the store is one.
func keyIn(store destinations.Store, name string) string {
	if key, below := strings.CutPrefix(name, strings.TrimSuffix(store.Location(""), "/")+"/"); below {
		return key
	}
	if strings.Contains(name, "://") {
		return ""
	}
	return name
}

// keep reads a receipt to its end, or as far as one may be long.
func (c *Copier) keep(spool *artifact.Spool, from io.Reader, r *Receipt, object *destinations.Object) (*artifact.Content, Problem, error) {
	kept, err := spool.NewContent()
	if err != nil {
		return nil, "", err
	}
	sum := sha256.New()
	object.Size, err = io.Copy(io.MultiWriter(kept, sum), io.LimitReader(from, c.Largest+1))
	object.SHA256 = hex.EncodeToString(sum.Sum(nil))
	switch {
	case err != nil:
		return nil, "", err
	case object.Size > c.Largest:
		return nil, TooLarge, nil
	case r.Size >= 0 && r.Size != object.Size, r.SHA256 != "" && r.SHA256 != object.SHA256:
		return nil, Changed, nil
	}
	return kept, "", kept.Complete()
}

// LookAt says what is wrong with a receipt as far as it can be known without reading it.
func (c *Copier) LookAt(ctx context.Context, r *Receipt) (Problem, error) {
	key := keyIn(c.From, r.Key)
	if key == "" {
		return Missing, nil
	}
	size, err := c.From.Size(ctx, key)
	switch {
	case absent(err):
		return Missing, nil
	case err != nil:
		return "", err
	case size > c.Largest:
		return TooLarge, nil
	case size >= 0 && r.Size >= 0 && r.Size != size, r.SHA256 == ledger.NoSHA256:
		return Changed, nil
	}
	return "", nil
}

// absent reports whether a store has no object.
func absent(err error) bool {
	return errors.Is(err, destinations.ErrNotFound) || errors.Is(err, destinations.ErrOccupied)
}
