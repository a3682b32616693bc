package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

type inner struct {
	Sig string `json:"sig"`
}

type outer struct {
	Payload string            `json:"payload"`
	List    []inner           `json:"list"`
	Named   map[string]*inner `json:"named"`
	Free    json.RawMessage   `json:"free"`
	Any     any               `json:"any"`
	*embedded
}

type embedded struct {
	Deep inner `json:"deep"`
}

func TestUnmarshal(t *testing.T) {
	many := "{"
	for _, k := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
		many += `"` + k + `":1,`
	}
	cases := []struct {
		name, text string
		want       error
	}{
		{"plain", ` {"payload":"x","list":[{"sig":"y"}],"named":{"Sig":{"sig":"z"},"x":null}} `, nil},
		{"unknown", `{"payload":"x","other":{"a":1,"b":[true,false,null,-1.5e+3,0]}}`, nil},
		{"duplicate", `{"payload":"x","payload":"y"}`, ErrDuplicate},
		{"duplicate by escape", `{"payload":"x","p\u0061yload":"y"}`, ErrDuplicate},
		{"duplicate but for case", `{"other":1,"Other":2}`, ErrDuplicate},
		{"duplicate deep in unknown", `{"other":[{"a":{"b":1,"b":2}}]}`, ErrDuplicate},
		{"duplicate among many", many + `"Z":1}`, ErrDuplicate},
		{"duplicate by Kelvin sign", `{"k":1,"\u212a":2}`, ErrDuplicate},
		{"case", `{"Payload":"x"}`, ErrCase},
		{"case by long s", `{"li\u017ft":[]}`, ErrCase},
		{"case in list", `{"list":[{"SIG":"x"}]}`, ErrCase},
		{"case in map", `{"named":{"a":{"Sig":"x"}}}`, ErrCase},
		{"case in embedded", `{"Deep":{}}`, ErrCase},
		{"case in embedded's field", `{"deep":{"Sig":"x"}}`, ErrCase},
		{"free is free", `{"free":{"Payload":1},"any":{"Sig":2}}`, nil},
		{"free is checked", `{"free":{"a":1,"A":1}}`, ErrDuplicate},
		{"wrong type", `{"payload":1}`, ErrSyntax},
		{"empty", ``, ErrSyntax},
		{"two values", `{} {}`, ErrSyntax},
		{"trailing comma", `{"a":1,}`, ErrSyntax},
		{"truncated", `{"payload":"x"`, ErrSyntax},
		{"truncated string", `{"payload":"x`, ErrSyntax},
		{"truncated escape", `{"payload":"x\`, ErrSyntax},
		{"UTF-8", "{\"payload\":\"\xff\"}", ErrSyntax},
		{"surrogate", `{"payload":"\ud800"}`, ErrSyntax},
		{"surrogates swapped", `{"payload":"\udc00\ud800"}`, ErrSyntax},
		{"pair", `{"payload":"\ud83d\ude00"}`, nil},
		{"control", "{\"payload\":\"a\nb\"}", ErrSyntax},
		{"leading zero", `{"any":01}`, ErrSyntax},
		{"not a number", `{"any":NaN}`, ErrSyntax},
		{"deep", strings.Repeat("[", 100000), ErrSyntax},
		{"byte order mark", "\ufeff{}", ErrSyntax},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var v outer
			if err := Unmarshal([]byte(c.text), &v); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if err := UnmarshalKnown([]byte(`{"payload":"x","other":1}`), new(outer)); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown key: %v, want ErrUnknown", err)
	}
}

// FuzzCheck: what Check accepts, encoding/json accepts too; and what it calls
// a syntax error for another reason than strictness, encoding/json refuses.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,"\u00e9",null]}`, `{"a":1,"A":2}`, `"\ud800"`, `[[[`, `01`, `-`, `{"a":1,"a":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := Check(data)
		valid := json.Valid(data)
		if err == nil && !valid {
			t.Errorf("accepts what encoding/json refuses: %q", data)
		}
		lenient := errors.Is(err, ErrDuplicate) || err != nil && (strings.Contains(err.Error(), "UTF-8") ||
			strings.Contains(err.Error(), "surrogate") || strings.Contains(err.Error(), "nested"))
		if err != nil && valid && !lenient {
			t.Errorf("refuses %q: %v", data, err)
		}
		if err == nil {
			var v any
			if err := Unmarshal(data, &v); err != nil {
				t.Errorf("Unmarshal refuses what Check accepts: %v", err)
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	text := []byte(`{"files":[` + strings.TrimSuffix(strings.Repeat(`{"fileName":"./usr/bin/bash","SPDXID":"SPDXRef-File-1","checksums":[{"algorithm":"SHA256","checksumValue":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]},`, 10000), ",") + `]}`)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := Check(text); err != nil {
			b.Fatal(err)
		}
	}
}
