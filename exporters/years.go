package exporters

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/ledgerport/ledgerport/ledger"
)

// olderYears and laterYears bound the files of an artifact: how many fiscal years a voucher may be from that of the cutoff.
const olderYears, laterYears = 9, 1

// Years are what an artifact has for each fiscal year, such as a file, for formats that cannot have two years in one.
type Years[T any] struct {
	cutoff int // its fiscal year
	first  int // year that was opened first
	byYear map[int]T
	opened []T
}

// NewYears makes the years of a batch, whose books have fiscal years that begin so.
func NewYears[T any](batch *Batch, start ledger.FiscalYearStart) *Years[T] {
	return &Years[T]{cutoff: start.Year(batch.Cutoff), byYear: map[int]T{}}
}

// Check is a hold for a voucher whose fiscal year is so far from the run's that it can only be a mistake.
func (y *Years[T]) Check(voucher *ledger.Voucher) error {
	if voucher.FiscalYear < y.cutoff-olderYears || voucher.FiscalYear > y.cutoff+laterYears {
		return Unsupported(voucher, "the posting date %s is not within %d fiscal years before and %d after that of the run; see spec.posting of the export",
			voucher.PostingDate.Format(time.DateOnly), olderYears, laterYears)
	}
	return nil
}

// Get returns what there is for a fiscal year, and opens it where there is nothing yet.
func (y *Years[T]) Get(year int, open func() (T, error)) (T, error) {
	if known, ok := y.byYear[year]; ok {
		return known, nil
	}
	opened, err := open()
	if err != nil {
		return opened, err
	}
	if len(y.opened) == 0 {
		y.first = year
	}
	y.byYear[year], y.opened = opened, append(y.opened, opened)
	return opened, nil
}

// Opened returns everything in the order in which it was opened.
func (y *Years[T]) Opened() []T { return y.opened }

// FileName is that of a part of a fiscal year's vouchers, counted from 1. The first file of all has the plain name; others
// have their year in it, and their number where the year has several.
func (y *Years[T]) FileName(plain string, year, part int) string {
	if part == 1 && (len(y.opened) == 0 || year == y.first) {
		return plain
	}
	extension := path.Ext(plain)
	name := fmt.Sprintf("%s-%d", strings.TrimSuffix(plain, extension), year)
	if part > 1 {
		name = fmt.Sprintf("%s-%d", name, part)
	}
	return name + extension
}
