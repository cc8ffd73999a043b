package texts

import "strconv"

// Count is a number and what it is a number of: one, or several.
func Count[N ~int | ~int32 | ~int64](n N, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(int64(n), 10) + " " + several
}
