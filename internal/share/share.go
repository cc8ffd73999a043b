// Package share decides how much of what is there for all one of them may take: a caller, or a namespace.
package share

// Fits reports whether a caller may take more. There is a total for all callers, of which some is taken, and some of that by the caller itself (own).
// What it had before must not be more than what is left afterwards: one caller takes half, the next half of the rest, and once each has given back what
// it had and taken it again, all have equal parts, one of which stays free. A tenant is several callers: each of its people, and its applications. A
// caller that is alone is bounded by its own limit.
func Fits(all, taken, own, more int64) bool {
	left := all - taken - more
	return left >= 0 && (own <= left || own == taken)
}
