package ledger

// taxed is a gross amount and the tax within it, in one currency.
type taxed struct{ gross, tax Amount }

// maxShift is by how many minor units a share may differ from its percentage, so that its tax is what the rate computes.
const maxShift Amount = 10

// share returns a percentage of an amount, but not more than is left of it. If the rate computes the tax of what is left, it computes that
// of the share and that of the rest, too: an accounting system that computes tax arrives at the same for each part of a receipt.
func (t taxed) share(percent, rate uint64, left taxed) taxed {
	if left.tax != 0 && left.isComputed(rate) {
		if taken, found := left.take(share(t.gross, percent, wholePercent), rate); found {
			return taken
		}
	}
	// Net and tax are rounded, so that the net amount of a share never has another sign than that of the line.
	tax := atMost(share(t.tax, percent, wholePercent), left.tax)
	return taxed{gross: tax + atMost(share(t.gross-t.tax, percent, wholePercent), left.gross-left.tax), tax: tax}
}

// take returns the amount closest to the one wanted of which, and of what it leaves, the rate computes the tax.
func (t taxed) take(wanted Amount, rate uint64) (taken taxed, found bool) {
	for i := range 2*maxShift + 1 {
		shift := (i + 1) / 2
		if i%2 == 0 {
			shift = -shift
		}
		taken = taxed{gross: wanted + shift, tax: taxIn(wanted+shift, rate)}
		if rest := (taxed{t.gross - taken.gross, t.tax - taken.tax}); !exceeds(taken.gross, t.gross) && rest.isComputed(rate) {
			return taken, true
		}
	}
	return taxed{}, false
}

func (t taxed) isComputed(rate uint64) bool { return t.tax == taxIn(t.gross, rate) }

// taxIn returns the tax that a rate computes within a gross amount.
func taxIn(gross Amount, rate uint64) Amount { return share(gross, rate, wholePercent+rate) }

func atMost(amount, limit Amount) Amount {
	if magnitude(amount) > magnitude(limit) {
		return limit
	}
	return amount
}
