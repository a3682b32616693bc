package statement

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

const good = `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a/b","digest":{"sha256":"` + sum + `"}}],"predicateType":"https://example.com/p","predicate":{"x":1},"later":"ignored"}`

func TestParse(t *testing.T) {
	s, err := Parse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if s.Subject[0].SHA256() != sum || string(s.Predicate) != `{"x":1}` {
		t.Errorf("%+v", s)
	}
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(data); err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	replace := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("no %q", from)
		}
		return strings.Replace(good, from, to, 1)
	}
	second := func(d string) string { return replace(`"}}],`, `"}},`+d+`],`) }
	for name, text := range map[string]string{
		"v0.1":                   replace("Statement/v1", "Statement/v0.1"),
		"no subject":             `{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"https://example.com/p","predicate":{}}`,
		"no digest":              second(`{"name":"c"}`),
		"no name":                second(`{"digest":{"sha256":"` + sum + `"}}`),
		"same name":              second(`{"name":"a/b","digest":{"sha256":"` + sum + `"}}`),
		"only sha512":            second(`{"name":"c","digest":{"sha512":"` + sum + sum + `"}}`),
		"upper case":             replace(sum, strings.ToUpper(sum)),
		"too short":              replace(sum, sum[:62]),
		"not hexadecimal":        replace(sum, "g"+sum[1:]),
		"unknown digest":         replace(`"sha256":"`+sum, `"sha256":"`+sum+`","dirHash1":"`+sum),
		"absolute":               replace("a/b", "/b"),
		"upwards":                replace("a/b", "a/../../b"),
		"line break":             replace("a/b", `a\nb`),
		"terminal escape":        replace("a/b", `a\u001b[2Jb`),
		"turned text":            replace("a/b", `a\u202eb`),
		"long name":              replace("a/b", strings.Repeat("a", MaxName+1)),
		"predicate type":         replace("https://example.com/p", "p"),
		"predicate type, spaces": replace("https://example.com/p", "https://example.com/p q"),
		"predicate is a list":    replace(`{"x":1}`, `[1]`),
		"no predicate":           replace(`"predicate":{"x":1}`, `"p":1`),
		"null predicate":         replace(`{"x":1}`, `null`),
		"duplicate key":          replace(`"predicate":`, `"predicate":{},"predicate":`),
		"key in another case":    replace(`"predicateType":`, `"predicatetype":`),
		"duplicate in predicate": replace(`{"x":1}`, `{"x":1,"x":2}`),
	} {
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if _, err := Parse(make([]byte, MaxSize+1)); !errors.Is(err, ErrInvalid) {
		t.Errorf("too large: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data)
		if err != nil {
			return
		}
		if again, err := s.Encode(); err != nil || !json.Valid(again) {
			t.Errorf("a parsed statement does not encode: %v", err)
		}
	})
}
