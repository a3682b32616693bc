package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/attest/layout"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/image/unified"
)

// Option makes a verification another one than most.
type Option func(*verifier)

// Release verifies the release in the folder dir. The layout must be in force at
// the time at, and no step have run after it. What is wrong with the release is in the report; an error tells
// that there is no report.
func Release(ctx context.Context, dir string, p *policy.Policy, at time.Time, options ...Option) (*Report, error) {
	start := time.Now()
	r, err := openFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	defer r.close()
	v := newVerifier(ctx, r, p, at)
	for _, o := range options {
		o(v)
	}
	checks := runAll(v.checks())
	if v.image.disk != nil {
		v.image.disk.Close()
	}
	report := r.report(p, checks, v.notChecked())
	report.At = at.UTC().Format(time.RFC3339)
	if m := v.image.manifest; m != nil {
		report.Release = m.Name + " " + m.Version
	}
	report.Seconds = time.Since(start).Seconds()
	return report, ctx.Err()
}

// report puts together what was found out about the files.
func (r *folder) report(p *policy.Policy, checks []Check, notChecked []string) *Report {
	report := &Report{
		Policy: p.SHA256, Checks: checks, NotChecked: notChecked, Verified: len(checks) > 0,
		Files: map[string]string{}, Bytes: r.bytes,
	}
	for _, name := range r.names {
		report.Files[name] = r.files[name].sum
		if isAttestation(name) {
			report.Attestations = append(report.Attestations, name)
		}
	}
	for _, c := range checks {
		report.Verified = report.Verified && c.Passed
	}
	return report
}

// fact is something that several checks need; it is found out once.
type fact func() error

// verifier holds what is known of a release.
type verifier struct {
	ctx    context.Context
	r      *folder
	policy *policy.Policy
	at     time.Time
	// modules is the folder of Go modules' archives; empty: there is none.
	modules string

	image  image
	all    statements
	layout *layout.Result
	lock   *lock.Lock
	esp    map[string][]byte
	sbom   *spdx.Document
	madeOf *sbom.Input // the bill of materials, anew

	loaded, unpacked, stated, laidOut, listed, dissected, opened, scanned, booted, locked, sbomRead, sbomMade, certified, formed, predicted fact
}

// errNeeds: a check could not be made because another failed.
var errNeeds = errors.New("not checked")

// after makes a fact that others have to precede.
func after(find func() error, needs ...*fact) fact {
	return sync.OnceValue(func() error {
		for _, n := range needs {
			if err := (*n)(); err != nil {
				if !errors.Is(err, errNeeds) {
					err = fmt.Errorf("%w: %w", errNeeds, err)
				}
				return err
			}
		}
		return find()
	})
}

func newVerifier(ctx context.Context, r *folder, p *policy.Policy, at time.Time) *verifier {
	v := &verifier{ctx: ctx, r: r, policy: p, at: at}
	disk, diskErr := r.one(".raw.zst")
	v.loaded = after(func() error { return r.load(ctx, disk) })
	v.unpacked = after(func() (err error) {
		if diskErr != nil {
			return diskErr
		}
		v.image.disk, err = r.files[disk].unpack(ctx)
		return err
	})
	v.stated = after(func() (err error) {
		v.all, err = readStatements(r, &p.Statements, at)
		return err
	}, &v.loaded)
	v.laidOut = after(func() (err error) {
		files := map[string][]byte{}
		for name, f := range r.files {
			if name == layout.FileName || strings.HasSuffix(name, ".link") {
				files[name] = f.data
			}
		}
		v.layout, err = layout.Verify(files, layoutTrust(p, at))
		return err
	}, &v.loaded)
	v.listed = after(func() error { return v.image.readManifest(r) }, &v.loaded)
	v.dissected = after(func() error { return v.image.dissect() }, &v.listed, &v.unpacked)
	v.opened = after(func() error { return v.image.volume.open(v.image.root) }, &v.dissected)
	v.scanned = after(func() error {
		v.image.scan = v.image.scanRoot(ctx, r)
		return v.image.scan.read
	}, &v.opened)
	v.booted = after(func() (err error) {
		v.esp, err = v.image.readESP()
		return err
	}, &v.dissected)
	v.locked = after(func() (err error) {
		v.lock, err = readLock(r)
		return err
	}, &v.loaded)
	v.sbomRead = after(func() (err error) {
		v.sbom, err = v.image.readSBOM(r)
		return err
	}, &v.listed)
	v.sbomMade = after(func() (err error) {
		v.madeOf, err = v.image.rebuildSBOM(r, v.all, v.sbom, v.lock)
		return err
	}, &v.sbomRead, &v.locked, &v.stated, &v.opened)
	v.certified = after(func() error { return v.image.readKernel(&p.Image) }, &v.listed)
	v.formed = after(func() (err error) {
		v.image.form, err = unified.NormalForm(v.image.uki, v.image.kernel)
		return err
	}, &v.certified)
	v.predicted = after(func() (err error) {
		v.image.phases, err = v.image.predict(&p.Image)
		return err
	}, &v.formed)
	return v
}

// check is one line of the report: what it finds when its own facts, and others
// that it needs, are known.
type check struct {
	name       string
	own, needs []*fact
	find       func() (string, error)
}

// checks lists all of them, in the order of the report.
func (v *verifier) checks() []check {
	r, m, trust := v.r, &v.image, &v.policy.Image
	facts := func(f ...*fact) []*fact { return f }
	return []check{
		{"files", facts(&v.loaded), facts(), v.describeFiles},
		{"checksums", facts(), facts(&v.loaded, &v.unpacked), func() (string, error) { return checkSums(r) }},
		{"checksums-signature", facts(), facts(&v.loaded), func() (string, error) { return checkSumsSignature(r, v.policy.Checksums) }},
		{"statements", facts(&v.stated), facts(&v.listed), v.checkStatements},
		{"layout", facts(&v.laidOut), facts(), v.describeLayout},
		{"links", facts(), facts(&v.stated, &v.laidOut), func() (string, error) { return checkLinks(v.all, v.layout) }},
		{"accounted", facts(), facts(&v.stated, &v.laidOut, &v.unpacked, &v.listed), func() (string, error) {
			return checkAccounted(r, v.all, v.layout, m.understood(r))
		}},
		{"inputs", facts(), facts(&v.stated), func() (string, error) { return checkInputs(v.all, trust) }},
		{"inputs-complete", facts(), facts(&v.stated), func() (string, error) { return checkComplete(v.all) }},
		{"lock", facts(&v.locked), facts(&v.stated), func() (string, error) { return checkLock(r, v.all, v.lock, v.modules) }},
		{"runs", facts(), facts(&v.stated, &v.locked, &v.listed), func() (string, error) { return m.checkRuns(v.all, v.lock) }},
		{"distribution", facts(), facts(&v.locked), func() (string, error) { return checkDistribution(r, v.lock, v.policy.Suites) }},
		{"disk", facts(&v.unpacked, &v.dissected), facts(), m.checkDisk},
		{"root-hash", facts(&v.opened, &v.scanned), facts(), m.checkRootHash},
		{"root-hash-signature", facts(), facts(&v.dissected), func() (string, error) { return m.checkSignature(r, trust) }},
		{"update-files", facts(), facts(&v.scanned), func() (string, error) { return m.checkUpdates(r) }},
		{"boot-partition", facts(&v.booted), facts(&v.stated), func() (string, error) { return m.checkBootPartition(r, v.all, v.esp) }},
		{"secure-boot", facts(), facts(&v.booted), func() (string, error) { return m.checkSecureBoot(v.esp, trust) }},
		{"kernel", facts(&v.certified), facts(), m.checkKernel},
		{"unsigned-set", facts(&v.listed), facts(&v.scanned, &v.formed, &v.stated), func() (string, error) { return m.checkUnsigned(r, v.all) }},
		{"pcr-values", facts(&v.predicted), facts(), func() (string, error) { return m.checkPCRs(r) }},
		{"pcr-signatures", facts(&v.predicted), facts(), func() (string, error) { return m.checkPCRSignatures(trust) }},
		{"sbom", facts(&v.sbomRead), facts(&v.opened, &v.booted, &v.certified, &v.stated), func() (string, error) {
			return m.checkSBOM(v.ctx, v.all, v.sbom, v.esp[bootLoader])
		}},
		{"sbom-lock", facts(), facts(&v.sbomRead, &v.locked), func() (string, error) { return m.checkSBOMLock(r, v.sbom, v.lock) }},
		{"sbom-rebuilt", facts(&v.sbomMade), facts(), func() (string, error) { return m.checkSBOMRebuilt(v.sbom, v.madeOf) }},
		{"sbom-installed", facts(), facts(&v.sbomMade), func() (string, error) { return m.checkSBOMInstalled(v.madeOf) }},
		{"sbom-programs", facts(), facts(&v.sbomMade), func() (string, error) { return checkDevice(v.all, v.madeOf) }},
		{"extension", facts(), facts(&v.listed), func() (string, error) { return m.checkExtension(r, trust) }},
		{"try-out", facts(), facts(&v.listed), func() (string, error) { return m.checkTryOut(trust) }},
	}
}

func (v *verifier) describeFiles() (string, error) {
	return fmt.Sprintf("%d files, %.1f MB", len(v.r.names), float64(v.r.bytes)/1e6), nil
}

func (v *verifier) describeLayout() (string, error) {
	return fmt.Sprintf("%d steps, in force until %s", len(v.layout.Layout.Steps), v.layout.Layout.Expires), nil
}

func (v *verifier) checkStatements() (string, error) {
	if err := v.image.checkNames(v.all); err != nil {
		return "", err
	}
	return v.all.describe(&v.policy.Statements), nil
}

// notChecked is what no check can look at without being given more.
func (v *verifier) notChecked() []string {
	list := []string{
		"that the trees and commits of the sources are those of the locked archives: attest sources computes *" + sourcesSuffix + " anew",
		"that our programs are compiled from the trees that the bill of materials names: attest program-source computes them anew, of the commit's checkout",
	}
	if v.modules == "" {
		list = append(list, "that Go modules have the content that go.sum says: their names alone stand there; --modules DIR has their archives")
	}
	return list
}

// runAll makes all checks at once.
func runAll(list []check) []Check {
	outcomes := make([]Check, len(list))
	var all sync.WaitGroup
	for i, c := range list {
		all.Go(func() { outcomes[i] = c.run() })
	}
	all.Wait()
	return outcomes
}

func (c check) run() (o Check) {
	o.Name = c.name
	var err error
	for _, own := range c.own {
		if err = (*own)(); err != nil {
			break
		}
	}
	if err == nil {
		err = after(func() (err error) {
			o.Detail, err = c.find()
			return err
		}, c.needs...)()
	}
	if err != nil {
		o.Detail = err.Error()
	}
	o.Passed = err == nil
	return o
}
