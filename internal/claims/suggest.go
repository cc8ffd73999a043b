package claims

import "strings"

// mostLike returns the name among others that a person most likely meant, or nothing if none is near: one that differs in the case of
// letters and in underscores alone, or in at most a third of its letters.
func mostLike(name string, others []string) (like string) {
	name = plain(name)
	least := len(name)/3 + 1
	for _, other := range others {
		if distance := editDistance(name, plain(other)); distance < least {
			like, least = other, distance
		}
	}
	return like
}

// plain is a name without what people write in one way or another.
func plain(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "") }

// editDistance counts the letters to add, to leave out or to replace that make one text of another. Names of a catalog have at most 63
// bytes.
func editDistance(a, b string) int {
	from, to := []rune(a), []rune(b)
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j := range to {
			replaced := diagonal
			if from[i] != to[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(to)]
}
