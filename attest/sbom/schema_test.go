package sbom

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// What the JSON schema of SPDX 2.3 demands of the kinds of elements that we write:
// the keys that may be there, those that must ("!"), patterns and sets of values;
// and what only the specification's text says ("!" on the SHA-1 of a file, 8.4). It is
// a table of our own, narrower than the schema, whose text is not in the repository: it
// was held against that by reading. The purpose that the schema of 2.3 spells
// OPERATING_SYSTEM, and that of 2.3.1 and the text OPERATING-SYSTEM, may not stand
// there.
var (
	id   = regexp.MustCompile(`^SPDXRef-[a-zA-Z0-9.-]+$`)
	date = regexp.MustCompile(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T(([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]|23:59:60)Z$`)
	hexa = regexp.MustCompile(`^[0-9a-f]+$`)
	text = regexp.MustCompile(`(?s)^.+$`)
	none = regexp.MustCompile(`(?s)^.*$`)
	// licence is annex D, as far as we use it.
	licence = regexp.MustCompile(`^\(*[A-Za-z0-9.-]+\+?( WITH [A-Za-z0-9.-]+)?\)*(( AND | OR )\(*[A-Za-z0-9.-]+\+?( WITH [A-Za-z0-9.-]+)?\)*)*$`)
)

type rule struct {
	must  bool
	value *regexp.Regexp  // of a string
	is    []string        // the values of a string
	each  map[string]rule // of an object, or of the objects of a list
	flag  bool            // true or false
}

var checksums = map[string]rule{
	"algorithm":     {must: true, is: []string{"SHA1", "SHA256"}},
	"checksumValue": {must: true, value: hexa},
}

var documentRules = map[string]rule{
	"spdxVersion": {must: true, is: []string{"SPDX-2.3"}}, "dataLicense": {must: true, is: []string{"CC0-1.0"}},
	"SPDXID": {must: true, is: []string{"SPDXRef-DOCUMENT"}}, "name": {must: true, value: text},
	"documentNamespace": {must: true, value: regexp.MustCompile(`^https://[^# ]+$`)}, "comment": {value: text},
	"creationInfo": {must: true, each: map[string]rule{"created": {must: true, value: date}, "creators": {must: true}}},
	"packages": {each: map[string]rule{
		"SPDXID": {must: true, value: id}, "downloadLocation": {must: true, value: regexp.MustCompile(`^(NOASSERTION|https?://[^ ]+)$`)},
		"name": {must: true, value: text}, "versionInfo": {value: text}, "packageFileName": {value: text},
		"supplier": {value: regexp.MustCompile(`^(NOASSERTION|(Organization|Person): .+)$`)}, "filesAnalyzed": {flag: true},
		"packageVerificationCode": {each: map[string]rule{
			"packageVerificationCodeValue": {must: true, value: regexp.MustCompile(`^[0-9a-f]{40}$`)}, "packageVerificationCodeExcludedFiles": {},
		}},
		"checksums": {each: checksums}, "sourceInfo": {value: text}, "comment": {value: text},
		"licenseConcluded": {value: licence}, "licenseDeclared": {value: licence}, "licenseComments": {value: text}, "copyrightText": {value: text},
		"primaryPackagePurpose": {is: []string{"OTHER", "INSTALL", "ARCHIVE", "FIRMWARE", "APPLICATION", "FRAMEWORK", "LIBRARY", "CONTAINER", "SOURCE", "DEVICE", "FILE"}},
		"externalRefs": {each: map[string]rule{
			"referenceCategory": {must: true, is: []string{"OTHER", "PERSISTENT-ID", "SECURITY", "PACKAGE-MANAGER"}},
			"referenceLocator":  {must: true, value: regexp.MustCompile(`^[^ ]+$`)},
			"referenceType":     {must: true, is: []string{"purl", "swh", "cpe23Type"}}, "comment": {value: text},
		}},
	}},
	"files": {each: map[string]rule{
		"SPDXID": {must: true, value: id}, "checksums": {must: true, each: checksums}, "fileName": {must: true, value: regexp.MustCompile(`^\./.+$`)},
		"copyrightText": {value: text}, "comment": {value: text},
	}},
	"hasExtractedLicensingInfos": {each: map[string]rule{
		"licenseId": {must: true, value: regexp.MustCompile(`^LicenseRef-[a-zA-Z0-9.-]+$`)}, "extractedText": {must: true, value: none},
		"name": {value: text}, "comment": {value: text},
	}},
	"relationships": {each: map[string]rule{
		"spdxElementId": {must: true, value: id}, "relatedSpdxElement": {must: true, value: id},
		"relationshipType": {must: true, is: []string{"DESCRIBES", "CONTAINS", "GENERATED_FROM", "PACKAGE_OF", "STATIC_LINK"}},
	}},
}

// TestReleaseSchema holds the document of a whole release against the schema: that in the
// folder that MANGOS_RELEASE names. Without one the other tests have small ones.
func TestReleaseSchema(t *testing.T) {
	dir := os.Getenv("MANGOS_RELEASE")
	if dir == "" {
		return
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.spdx.json"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%s has the documents %v, want one: %v", dir, names, err)
	}
	data, err := Read(names[0])
	if err != nil {
		t.Fatal(err)
	}
	checkSchema(t, data)
}

// checkSchema holds a document against the schema, and against what a schema
// cannot say: identifiers are unique, licences that SPDX does not have are there
// with their texts, and a verification code stands where files were analysed.
func checkSchema(t *testing.T, data []byte) {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	checkObject(t, "document", doc, documentRules)
	seen := map[string]bool{"SPDXRef-DOCUMENT": true}
	for _, kind := range []string{"packages", "files"} {
		for _, x := range objects(doc, kind) {
			id := x["SPDXID"].(string)
			if seen[id] {
				t.Errorf("%s stands there twice", id)
			}
			seen[id] = true
			if analysed, _ := x["filesAnalyzed"].(bool); kind == "packages" && analysed != (x["packageVerificationCode"] != nil) {
				t.Errorf("%s: files analysed and verification code do not fit", id)
			}
			if kind == "files" && !hasSHA1(x) {
				t.Errorf("%s has no SHA-1, which SPDX 2.3 demands", id)
			}
		}
	}
	described := false
	for _, r := range objects(doc, "relationships") {
		if !seen[r["spdxElementId"].(string)] || !seen[r["relatedSpdxElement"].(string)] {
			t.Errorf("a relationship of what is not there: %v", r)
		}
		described = described || r["relationshipType"] == "DESCRIBES"
	}
	if !described {
		t.Error("the document describes nothing")
	}
	var texts []string
	for _, x := range objects(doc, "hasExtractedLicensingInfos") {
		texts = append(texts, x["licenseId"].(string))
	}
	for _, p := range objects(doc, "packages") {
		declared, _ := p["licenseDeclared"].(string)
		for _, ref := range regexp.MustCompile(`LicenseRef-[a-zA-Z0-9.-]+`).FindAllString(declared, -1) {
			if !slices.Contains(texts, ref) {
				t.Errorf("%s has no text", ref)
			}
		}
	}
}

func objects(doc map[string]any, key string) []map[string]any {
	var l []map[string]any
	values, _ := doc[key].([]any)
	for _, v := range values {
		l = append(l, v.(map[string]any))
	}
	return l
}

func hasSHA1(file map[string]any) bool {
	return slices.ContainsFunc(objects(file, "checksums"), func(c map[string]any) bool { return c["algorithm"] == "SHA1" })
}

func checkObject(t *testing.T, at string, object map[string]any, rules map[string]rule) {
	t.Helper()
	for key := range object {
		if _, ok := rules[key]; !ok {
			t.Errorf("%s: key %q is not in the schema", at, key)
		}
	}
	for key, r := range rules {
		v, ok := object[key]
		if !ok {
			if r.must {
				t.Errorf("%s: %q is missing", at, key)
			}
			continue
		}
		checkValue(t, at+"."+key, v, r)
	}
}

func checkValue(t *testing.T, at string, v any, r rule) {
	t.Helper()
	switch x := v.(type) {
	case string:
		if r.value != nil && !r.value.MatchString(x) || r.is != nil && !slices.Contains(r.is, x) || r.each != nil || r.flag {
			t.Errorf("%s: %q", at, x)
		}
	case bool:
		if !r.flag {
			t.Errorf("%s: %v", at, x)
		}
	case map[string]any:
		checkObject(t, at, x, r.each)
	case []any:
		if len(x) == 0 {
			t.Errorf("%s: an empty list", at)
		}
		for _, e := range x {
			if object, ok := e.(map[string]any); ok {
				checkObject(t, at, object, r.each)
			} else if r.each != nil {
				t.Errorf("%s: %v", at, e)
			}
		}
	default:
		t.Errorf("%s: %v", at, v)
	}
}
