package pages

import "strconv"

// wholeNumber reads a whole number of a query; 0 if it is none.
func wholeNumber(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// digits writes a number for a query.
func digits(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
