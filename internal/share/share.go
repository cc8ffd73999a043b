// Package share decides how much of what is there for all one of them may take: a caller, or a namespace.
package share

// Fits reports whether a caller that has own of what there is for all, of which so much is taken, may take more. What it has then may be as much
// as what is left: one caller takes half, the next half of the rest, and once each has given back what it had and taken it again, all have
// equal parts, one of which stays free. A tenant is several callers: each of its people, and its applications. A caller beside whom there is nobody
// is bounded by its own limit alone.
func Fits(all, taken, own, more int64) bool {
	left := all - taken - more
	return left >= 0 && (own <= left || own == taken)
}
