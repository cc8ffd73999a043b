package pipeline

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/receipts"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/ledger"
)

// receiptPolicy is what the export says of receipts, as it is recorded: empty for Ignore.
func (a *attempt) receiptPolicy() (v1alpha1.ReceiptPolicy, error) {
	policy := a.cluster.export.Spec.Receipts
	if policy == "" || policy == v1alpha1.IgnoreReceipts {
		return "", nil
	}
	source, err := a.cluster.source()
	if err != nil {
		return "", err
	}
	return policy, references.ReceiptsFor(a.cluster.export, source)
}

// listsReceipts reports whether the recorded artifact has the list of its receipts: all of them are at the destination.
func listsReceipts(run *claims.Run) bool {
	return slices.ContainsFunc(run.Files, func(file claims.File) bool { return file.Name == receipts.ListName })
}

// lacks holds a claim that lacks a receipt that the export requires.
func (a *attempt) lacks(claim *ledger.Claim) error {
	receipt, lacks := a.lacking[hashOf(claim.ID)]
	if !lacks {
		return nil
	}
	return &ledger.Hold{ClaimID: claim.ID, Reason: ledger.HoldReceiptMissing,
		Message: fmt.Sprintf("%s is %s in the store of the receipts; put it there, or correct its entry", receiptOf(receipt.line), receipt.problem)}
}

// lacked is the first receipt that a claim lacks.
type lacked struct {
	line    int
	problem receipts.Problem
}

// claimHash stands for the id of a claim, which may have a thousand bytes.
type claimHash [16]byte

func hashOf(claimID string) claimHash {
	sum := sha256.Sum256([]byte(claimID))
	return claimHash(sum[:16])
}

// mostLacking bounds the claims that lack receipts.
const mostLacking = 100_000

// findLacking looks whether the store has the receipts of all claims that the run may take, where the export requires them. It is
// a pass of its own: several are looked for together, and no claim is bound meanwhile. A receipt that goes missing after it ends the run.
// Where no store can be looked at, none is taken for missing.
func (a *attempt) findLacking(ctx context.Context) error {
	if a.books.Receipts != v1alpha1.RequireReceipts || a.Resolver.ReceiptStores == nil {
		return nil
	}
	copier, err := a.copier(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = copier.From.Close() }() // only read
	run := a.run
	run.Selection = a.books.selected()
	pass, err := a.database.Preview(ctx, run)
	if err != nil {
		return err
	}
	defer pass.Close()
	a.lacking = map[claimHash]lacked{}
	var batch []receipts.Receipt
	for {
		claim, err := pass.Next(ctx)
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return err
		}
		if !ended {
			for _, r := range claim.Receipts {
				batch = append(batch, receipts.Receipt{Receipt: r, ClaimID: claim.ID})
			}
		}
		if receipts.Full(batch) || ended {
			if err := a.noteLacking(ctx, copier, batch); err != nil || ended {
				return err
			}
			batch = batch[:0]
		}
	}
}

// noteLacking notes which of some receipts are not there.
func (a *attempt) noteLacking(ctx context.Context, copier *receipts.Copier, batch []receipts.Receipt) error {
	err := receipts.Each(ctx, batch, func(ctx context.Context, r *receipts.Receipt) (err error) {
		r.Problem, err = copier.LookAt(ctx, r)
		return err
	})
	for i := range batch {
		if r := &batch[i]; r.Problem != "" {
			if id := hashOf(r.ClaimID); a.lacking[id].problem == "" {
				a.lacking[id] = lacked{line: r.LineNumber, problem: r.Problem}
			}
		}
	}
	if len(a.lacking) > mostLacking {
		return failure.OnSource.Transient(v1alpha1.ReasonReceiptMissing, nil,
			"more than %d claims lack receipts; is spec.receipts of ClaimSource %s right?", mostLacking, references.SourceKey(a.cluster.export))
	}
	return err
}

// receiptOf says which receipt of its claim one of a line is.
func receiptOf(line int) string {
	if line == 0 {
		return "a receipt of the claim"
	}
	return fmt.Sprintf("a receipt of line %d", line)
}

// copier opens the store of the receipts.
func (a *attempt) copier(ctx context.Context) (*receipts.Copier, error) {
	login, err := a.cluster.receiptsLogin()
	if err != nil {
		return nil, err
	}
	source, err := a.cluster.source()
	if err != nil {
		return nil, err
	}
	store, err := a.Resolver.OpenReceipts(ctx, source, login)
	if err != nil {
		return nil, a.ofSource(err)
	}
	var one sync.Mutex // the database serves one at a time
	return &receipts.Copier{
		From: store, To: a.destination, Run: a.task.directory(), Largest: a.Resolver.LargestReceipt,
		Spool: func() *artifact.Spool {
			return artifact.NewSpool(a.SpoolDirectory, a.SpoolSpace, a.task.Namespace, ctx.Err)
		},
		Guard: func() error {
			one.Lock()
			defer one.Unlock()
			return a.stillOurs(ctx)
		},
		Look: a.run.Attempt > 1,
	}, nil
}

// spoolReceipts puts the recorded list of the receipts behind the files of the artifact, and returns what they come to.
func (a *attempt) spoolReceipts(ctx context.Context) (total claims.ReceiptBlock, err error) {
	list, err := a.spool.Add(receipts.ListName, receipts.ListMediaType)
	if err != nil {
		return total, err
	}
	_, err = io.WriteString(list, receipts.ListHeader)
	if err == nil {
		err = a.eachBlock(ctx, func(block claims.ReceiptBlock) error {
			total.Delivered, total.Missing, total.Bytes = total.Delivered+block.Delivered, total.Missing+block.Missing, total.Bytes+block.Bytes
			_, err := list.Write(block.Rows)
			return err
		})
	}
	return total, errors.Join(err, list.Close())
}

// eachBlock does something with each block that is recorded of the receipts of the run whose artifact this one delivers.
func (a *attempt) eachBlock(ctx context.Context, do func(claims.ReceiptBlock) error) error {
	for place := 0; ; place++ {
		block, found, err := a.database.Receipts(ctx, a.rendered().ID, place)
		if err != nil || !found {
			return err
		}
		if err := do(block); err != nil {
			return err
		}
	}
}

// recordedReceipts returns how many blocks are recorded, and of how many vouchers.
func (a *attempt) recordedReceipts(ctx context.Context) (place int, vouchers int64, err error) {
	err = a.eachBlock(ctx, func(block claims.ReceiptBlock) error {
		place, vouchers = place+1, block.Vouchers
		return nil
	})
	return place, vouchers, err
}

// receiptsOf are those of a voucher that something is to be done with. It is called with each voucher in order, from the first of the run.
type receiptsOf func(context.Context, *ledger.Voucher) ([]receipts.Receipt, error)

// ofEach are all of them.
func ofEach(_ context.Context, voucher *ledger.Voucher) ([]receipts.Receipt, error) {
	return receipts.Of(voucher), nil
}

// nextReceipts reads vouchers, after so many that are skipped, until they have a block of receipts, and returns how many they are.
func (a *attempt) nextReceipts(ctx context.Context, vouchers *claims.Vouchers, skip int64, of receiptsOf) (read int64, ended bool, err error) {
	a.copied = a.copied[:0]
	var voucher ledger.Voucher
	for !receipts.Full(a.copied) {
		err := vouchers.Next(ctx, &voucher)
		if errors.Is(err, io.EOF) {
			return read, true, nil
		}
		if err != nil {
			return read, false, err
		}
		of, err := of(ctx, &voucher)
		if err != nil {
			return read, false, err
		}
		if skip > 0 {
			skip--
			continue
		}
		read++
		a.copied = append(a.copied, of...)
	}
	return read, false, nil
}

// eachUnrecorded goes through receipts block by block, from where the record ends, and records what became of each block.
func (a *attempt) eachUnrecorded(ctx context.Context, of receiptsOf, do func() error) error {
	place, done, err := a.recordedReceipts(ctx)
	if err != nil {
		return err
	}
	vouchers, err := a.database.Vouchers(ctx, a.run.Fence())
	if err != nil {
		return err
	}
	for skip := done; ; place++ {
		read, ended, err := a.nextReceipts(ctx, vouchers, skip, of)
		if err != nil {
			return err
		}
		if done += read; len(a.copied) > 0 {
			if err := do(); err != nil {
				return err
			}
			if err := a.recordBlock(ctx, place, done); err != nil {
				return err
			}
		}
		if ended {
			return nil
		}
		skip = 0
	}
}

// recordBlock records what became of the receipts that were copied last, up to so many vouchers of the run.
func (a *attempt) recordBlock(ctx context.Context, place int, vouchers int64) error {
	block := receipts.Rows(a.copied)
	block.Vouchers = vouchers
	err := a.Failpoints.Around(failpoint.RecordReceipts, func() error { return a.database.RecordReceipts(ctx, a.run.Fence(), place, block) })
	if err == nil {
		a.copied = a.copied[:0]
	}
	return err
}

// comesTo is what the manifest says of the receipts of a run.
func comesTo(policy v1alpha1.ReceiptPolicy, total *claims.ReceiptBlock) *artifact.Receipts {
	return &artifact.Receipts{
		Policy: policy, Listed: total.Delivered + total.Missing, Delivered: total.Delivered, Missing: total.Missing,
		Bytes: total.Bytes, List: receipts.ListName,
	}
}

// problemOf is the failure of a run that cannot go without one of the receipts that were copied last.
func (a *attempt) problemOf(action string) error {
	for i := range a.copied {
		if r := &a.copied[i]; r.Problem != "" {
			return failure.OnSource.Transient(v1alpha1.ReasonReceiptMissing, nil, "claim %s: %s is %s in its store by now; %s", r.ClaimID, receiptOf(r.LineNumber), r.Problem, action)
		}
	}
	return nil
}
