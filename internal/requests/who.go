package requests

// longestStamp is how many characters of a name the policies of config/admission let be written.
const longestStamp = 256

// Stamp is how the name of a user is written into an annotation that says who has done something. The policies of config/admission
// compare it with what they make of the name, so that both cut it alike.
func Stamp(name string) string {
	characters := []rune(name)
	if len(characters) <= longestStamp {
		return name
	}
	return string(characters[:longestStamp-1]) + "…"
}
