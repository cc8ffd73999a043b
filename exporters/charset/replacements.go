package charset

// invisible characters are never written, whatever the set has: spaces of print become spaces, the others nothing.
var invisible = map[rune]string{
	'\u00a0': " ", '\u202f': " ", '\u00ad': "", '\u200b': "", '\u200c': "", '\u200d': "", '\u2060': "", '\ufeff': "", '\ufe0e': "", '\ufe0f': "",
}

// replacements are written for what a set lacks. docs/exporters/characters.md lists them. What is not here is taken apart
// as Unicode says it is compatible: a letter loses its accent, … becomes three dots.
var replacements = map[rune]string{
	'ø': "ö", 'Ø': "Ö", 'œ': "oe", 'Œ': "OE", 'ł': "l", 'Ł': "L", 'đ': "d", 'Đ': "D", 'ð': "d", 'Ð': "D", 'þ': "th", 'Þ': "Th",
	'ħ': "h", 'Ħ': "H", 'ı': "i", 'ŋ': "ng", 'Ŋ': "NG", 'ẞ': "SS", 'μ': "µ",
	'€': "EUR", '§': "par.", '©': "(c)", '®': "(r)", '×': "x", '‰': "o/oo", '•': "·", '⁄': "/", '¦': "|",
	'‘': "'", '’': "'", '‚': "'", '‛': "'", '′': "'", '´': "'", '‹': "'", '›': "'",
	'“': `"`, '”': `"`, '„': `"`, '‟': `"`, '″': `"`,
	'‐': "-", '‑': "-", '‒': "-", '–': "-", '—': "-", '―': "-", '−': "-",
	'\u1680': " ", '\u2028': " ", '\u2029': " ",
	'\u2a74': "\u2a74", // it would become ::=, which begins a formula behind a separator: it is missing
}

// replacementsOfSEPA are written for what the other sets have and banks do not take. The page of each payment format lists them.
var replacementsOfSEPA = map[rune]string{
	'æ': "ae", 'Æ': "AE", 'ß': "ss", 'ŧ': "t", 'Ŧ': "T", 'µ': "u", 'μ': "u",
	'&': "+", '_': "-", '*': ".", '"': "'", '#': ".", '!': ".", ';': ",", '@': "(at)", '=': "-", '%': "o/o", '$': "USD", '£': "GBP",
	'[': "(", ']': ")", '{': "(", '}': ")", '<': "(", '>': ")", '\\': "/", '|': "/", '~': "-", '^': ".", '`': "'",
	'÷': ":", '±': "+-", '°': ".", '·': ".", '¿': "", '¡': "", '«': "'", '»': "'",
}
