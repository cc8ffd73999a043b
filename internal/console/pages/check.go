package pages

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/bojanz/currency"
	"k8s.io/apimachinery/pkg/types"

	api "github.com/ledgerport/ledgerport/api/books/v1alpha1"
	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/books"
	"github.com/ledgerport/ledgerport/internal/console/burden"
)

const (
	// mostChecked bytes of files are read to check a run, and mostSummed pages of vouchers.
	mostChecked = 256 << 20
	mostSummed  = 40
	// largestManifest that is read, and how many bytes are held for each of its own: it comes as a whole, and is decoded.
	largestManifest = 4 << 20
	manifestWeighs  = 2
)

// check is one thing that was looked at now.
type check struct {
	// Mark is good, bad or none.
	Mark         string
	What, Result string
}

// check reads the files of a run and its vouchers, and compares them: files with their recorded hashes, the totals that were delivered with
// the vouchers in the database, debit with credit.
func (v *visit) check(run *v1alpha1.ExportRun) []check {
	key := types.NamespacedName{Namespace: run.Namespace, Name: run.Name}
	list, err := v.books.Files(v.ctx, key)
	if err != nil {
		return []check{{"bad", v.T("check.files"), detail(err)}}
	}
	var checks []check
	var document bytes.Buffer
	left := int64(mostChecked)
	for _, file := range list.Items[:min(len(list.Items), mostFiles)] {
		if left -= file.Size; left < 0 || file.Size < 0 {
			checks = append(checks, check{"none", file.Name, v.T("check.large")})
			continue
		}
		into := io.Discard
		if file.Name == artifact.ManifestName && file.Size <= largestManifest && burden.Make(v.ctx, manifestWeighs*file.Size) == nil {
			document.Grow(int(file.Size))
			into = &document
		}
		checks = append(checks, v.checkFile(key, file, into))
	}
	manifest, err := artifact.DecodeManifest(document.Bytes())
	if err != nil || manifest.Validate() != nil {
		return append(checks, check{"none", v.T("check.totals"), v.T("check.nomanifest")})
	}
	checks = append(checks, v.checkBalance(&manifest), v.checkReport(run, &manifest))
	return append(checks, v.checkRecord(key, &manifest))
}

// checkFile reads one file. The one who serves it hashes it, too; here it is hashed again.
func (v *visit) checkFile(run types.NamespacedName, file api.File, into io.Writer) check {
	if err := v.books.Download(v.ctx, run, file, into); err != nil {
		told := detail(err)
		if told == "" {
			told = v.T("check.unread")
		}
		return check{"bad", file.Name, told}
	}
	return check{"good", file.Name, v.T("check.same")}
}

// checkBalance compares debit with credit in every currency.
func (v *visit) checkBalance(manifest *artifact.Manifest) check {
	sums := append([]artifact.Sum{manifest.Base}, manifest.Currencies...)
	for _, sum := range sums {
		if sum.Debit != sum.Credit {
			code := sum.Currency.Code()
			return check{"bad", v.T("check.balance"), v.T("check.differs", v.Amount(sum.Debit.Decimal(sum.Currency), code), v.Amount(sum.Credit.Decimal(sum.Currency), code))}
		}
	}
	return check{"good", v.T("check.balance"), v.T("check.equal", v.sum(&manifest.Base))}
}

func (v *visit) sum(sum *artifact.Sum) string {
	return v.Amount(sum.Debit.Decimal(sum.Currency), sum.Currency.Code())
}

// checkReport compares what the cluster reports of the run with what was delivered.
func (v *visit) checkReport(run *v1alpha1.ExportRun, manifest *artifact.Manifest) check {
	if run.Status.Claims == manifest.Claims && (run.Status.Debit == "" || run.Status.Debit == manifest.Base.Debit.Decimal(manifest.Base.Currency)) {
		return check{"good", v.T("check.report"), v.T("check.equal", v.N("claims", manifest.Claims)+", "+v.sum(&manifest.Base))}
	}
	return check{"bad", v.T("check.report"), v.T("check.differs", v.total(&run.Status.RunResult), v.sum(&manifest.Base))}
}

var errManyVouchers = errors.New("there are more vouchers than a page sums up")

// checkRecord compares the vouchers in the database with the totals that were delivered.
func (v *visit) checkRecord(run types.NamespacedName, manifest *artifact.Manifest) check {
	title := v.T("check.totals")
	claims, total, err := v.sumVouchers(run, manifest.Base.Currency.Code())
	switch {
	case errors.Is(err, errManyVouchers):
		return check{"none", title, v.T("check.many")}
	case err != nil:
		told := detail(err)
		if told == "" {
			told = v.T("check.unread")
		}
		return check{"bad", title, told}
	}
	wanted, err := currency.NewAmount(manifest.Base.Debit.Decimal(manifest.Base.Currency), manifest.Base.Currency.Code())
	if err != nil {
		return check{"none", title, v.T("check.nomanifest")}
	}
	if order, err := total.Cmp(wanted); err != nil || order != 0 || claims != manifest.Claims {
		return check{"bad", title, v.T("check.differs", v.N("claims", claims)+", "+v.Amount(total.Number(), total.CurrencyCode()), v.N("claims", manifest.Claims)+", "+v.sum(&manifest.Base))}
	}
	return check{"good", title, v.T("check.equal", v.N("claims", claims)+", "+v.Amount(wanted.Number(), wanted.CurrencyCode()))}
}

// sumVouchers adds up the vouchers of a run, in the currency of its books. The vouchers of a claim come one after another.
func (v *visit) sumVouchers(run types.NamespacedName, code string) (claims int64, total currency.Amount, err error) {
	total, err = currency.NewAmount("0", code)
	last, next := "", ""
	for page := 0; err == nil; page++ {
		if page == mostSummed {
			return claims, total, errManyVouchers
		}
		var list *api.VoucherList
		if list, err = v.books.Vouchers(v.ctx, run, books.Search{Pages: 1, From: next}); err != nil {
			break
		}
		for _, voucher := range list.Items {
			if voucher.Claim != last || claims == 0 {
				claims++
			}
			last = voucher.Claim
			var amount currency.Amount
			if amount, err = currency.NewAmount(voucher.BaseAmount, voucher.BaseCurrency); err == nil {
				total, err = total.Add(amount)
			}
			if err != nil {
				return claims, total, fmt.Errorf("voucher %s: %w", voucher.Number, err)
			}
		}
		if next = list.Continue; next == "" {
			break
		}
	}
	return claims, total, err
}
