package expression

import (
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

const (
	// maxText bounds every text that a function is given or makes, in bytes.
	maxText = 100_000
	// bytesPerUnit is what a function reads for one unit of cost: some 100 nanoseconds, for the slowest that read a text once.
	bytesPerUnit = 10
	// comparisonsPerUnit are those of a search that compares at each place with the whole of what it looks for.
	comparisonsPerUnit = 100
	// zonePrice is what finding a time zone by its name costs: it is read from a file.
	zonePrice = 1000
)

// price is what a call costs, by the sizes of its arguments in bytes. It is asked before the call: one call that nothing ends must be
// affordable as a whole. pattern is the size of a regular expression.
func price(function string, pattern uint64, sizes []uint64) uint64 {
	read := uint64(0)
	for _, size := range sizes {
		read += size
	}
	units := 1 + read/bytesPerUnit
	switch function {
	case "indexOf", "lastIndexOf":
		units += sizes[0] * sizes[1] / comparisonsPerUnit
	case overloads.Matches: // at each character, each place of the pattern may be where it has come to
		units += (1 + sizes[0]) * pattern / bytesPerUnit
	case "split": // into single characters
		units += sizes[0]
	case operators.Add:
		if read > maxText {
			return CostLimit + 1
		}
	case overloads.TimeGetFullYear, overloads.TimeGetMonth, overloads.TimeGetDayOfYear, overloads.TimeGetDayOfMonth, overloads.TimeGetDate,
		overloads.TimeGetDayOfWeek, overloads.TimeGetHours, overloads.TimeGetMinutes, overloads.TimeGetSeconds, overloads.TimeGetMilliseconds:
		if len(sizes) > 1 {
			units += zonePrice
		}
	}
	return units
}

// size is how many bytes a function reads of an argument, or more than it can pay for where a text is too long.
func size(function string, argument ref.Val) uint64 {
	switch value := argument.(type) {
	case types.String:
		return textSize(len(value))
	case types.Bytes:
		return textSize(len(value))
	case traits.Lister:
		if function == operators.Add || function == overloads.Size { // which do not go through it
			return 0
		}
		return elements(value, function)
	case traits.Mapper:
		if function == overloads.Size {
			return 0
		}
		return elements(value, function)
	}
	return 0
}

func textSize(length int) uint64 {
	if length > maxText {
		return unaffordable
	}
	return uint64(length)
}

const unaffordable = (CostLimit + 1) * bytesPerUnit

// elements is the size of all that a list or a map has, up to where it is unaffordable.
func elements(of traits.Iterable, function string) (total uint64) {
	members, isMap := of.(traits.Mapper)
	for each := of.Iterator(); each.HasNext() == types.True && total < unaffordable; {
		element := each.Next()
		total += bytesPerUnit + size(function, element)
		if isMap {
			total += size(function, members.Get(element))
		}
	}
	return total
}

// EstimateSize implements checker.CostEstimator.
func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	if len(node.Path()) == 1 && node.Type().Kind() == types.StringKind {
		return &checker.SizeEstimate{Max: textLength}
	}
	return nil
}

// EstimateCallCost implements checker.CostEstimator. What CEL takes for a call of one unit, as it does all conversions and functions that
// others add, costs what it reads.
func (s sizes) EstimateCallCost(function, _ string, target *checker.AstNode, arguments []checker.AstNode) *checker.CallEstimate { //nolint:gocritic // CEL's signature
	if _, isOperator := operators.FindReverse(function); isOperator {
		return nil
	}
	if target != nil {
		arguments = append([]checker.AstNode{*target}, arguments...)
	}
	read := make([]uint64, len(arguments))
	for i, argument := range arguments {
		read[i] = s.most(argument)
	}
	return &checker.CallEstimate{CostEstimate: checker.CostEstimate{Max: price(function, maxPattern, read)}}
}

// most is how many bytes an argument can have.
func (s sizes) most(argument checker.AstNode) uint64 {
	switch argument.Type().Kind() {
	case types.StringKind, types.BytesKind:
	case types.ListKind, types.MapKind, types.DynKind, types.AnyKind:
		return unaffordable
	default:
		return 0
	}
	if known := argument.ComputedSize(); known != nil {
		return min(known.Max, maxText)
	}
	if known := s.EstimateSize(argument); known != nil {
		return known.Max
	}
	return maxText
}
