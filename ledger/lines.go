package ledger

// checkLines refuses lines that may be one line read twice, and what is no number. They are in the order of their numbers.
func checkLines(claim *Claim) error {
	for i := range claim.Lines {
		line := &claim.Lines[i]
		if i > 0 && claim.Lines[i-1].Number == line.Number {
			return hold(claim, HoldDuplicateLine, "two lines have the number %d, and may be one that is there twice; give every line of the claim a line_no of its own", line.Number)
		}
		switch line.Quantity {
		case "NaN", "Infinity", "-Infinity":
			return hold(claim, HoldInvalidQuantity, "quantity of line %d is %s; correct it in the application", line.Number, line.Quantity)
		}
	}
	return nil
}
