package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"dagger/mangos/internal/dagger"
)

// MkosiImage builds an image of the same packages with mkosi, from an empty package
// cache, and returns it with the sizes of its root and kernel image (sizes, in
// bytes): what ci/bench compares with. It has Debian's kernel, which mkosi does not
// build, and is neither locked nor signed.
// +cache="never"
func (m *Mangos) MkosiImage(ctx context.Context) (*dagger.Directory, error) {
	tools, err := m.tools(ctx, "mkosi")
	if err != nil {
		return nil, err
	}
	packages, err := m.request(ctx, "root")
	if err != nil {
		return nil, err
	}
	epoch, err := m.epoch(ctx)
	if err != nil {
		return nil, err
	}
	configuration := "[Distribution]\nDistribution=debian\nRelease=trixie\nRepositories=main,non-free-firmware\n" +
		"[Output]\nFormat=disk\nOutput=image\nOutputDirectory=/out\nCacheDirectory=/cache\nSplitArtifacts=uki,partitions\n" +
		"[Content]\nBootable=yes\nBootloader=systemd-boot\nWithDocs=no\nSourceDateEpoch=" + epoch + "\n" +
		"Packages=linux-image-amd64,systemd-boot-efi," + strings.Join(packages, ",") + "\n"
	partition := func(text string) string { return "[Partition]\n" + text }
	definition := dag.Directory().
		WithNewFile("mkosi.conf", configuration).
		WithNewFile("mkosi.repart/00-esp.conf", partition("Type=esp\nFormat=vfat\nCopyFiles=/efi:/\nCopyFiles=/boot:/\nSizeMinBytes=512M\nSizeMaxBytes=512M\n")).
		WithNewFile("mkosi.repart/10-root.conf", partition("Type=root\nFormat=erofs\nCompression=lz4hc\nCopyFiles=/\nMinimize=best\nSplitName=root\nVerity=data\nVerityMatchKey=root\n")).
		WithNewFile("mkosi.repart/20-root-verity.conf", partition("Type=root-verity\nMinimize=best\nVerity=hash\nVerityMatchKey=root\n"))
	ctr := dag.Container().WithRootfs(tools).
		WithDirectory("/definition", definition).
		WithMountedTemp("/var/tmp").
		WithMountedTemp("/cache").
		WithMountedTemp("/run").
		WithDirectory("/out", dag.Directory()).
		WithEnvVariable("MANGOS_RUN", time.Now().UTC().Format(time.RFC3339Nano))
	if m.Mirrors != nil {
		ctr = ctr.WithSecretVariable("MANGOS_MIRRORS", m.Mirrors)
	}
	return ctr.
		WithExec([]string{"sh", "-euc", mkosiScript, "sh"},
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		Directory("/out"), nil
}

// mkosiScript builds. The caller's mirrors come by apt's own configuration in mkosi's
// sandbox: of a LocalMirror mkosi takes one component and one suite, and beside a Mirror
// it asks security.debian.org, which a machine need not reach.
const mkosiScript = `
cp -R /definition /run/definition
cd /run/definition
sources=mkosi.sandbox/etc/apt/sources.list.d
mkdir -p "$sources"
for word in ${MANGOS_MIRRORS:-}; do
	case $word in
	debian=*) suites="trixie trixie-updates" ;;
	debian-security=*) suites=trixie-security ;;
	*) continue ;;
	esac
	printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main non-free-firmware\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n' \
		"${word#*=}" "$suites" >>"$sources/mkosi.sources"
done
mkosi --force build
cd /out
stat --dereference --format='%s %n' image.root*.raw image.efi >sizes`

// request returns what the lock was asked for a package set, sorted.
func (m *Mangos) request(ctx context.Context, set string) ([]string, error) {
	text, err := m.Locked.Contents(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the lock: %w", err)
	}
	var lock struct {
		Sets []struct {
			Name    string
			Request []string
		}
	}
	if err := json.Unmarshal([]byte(text), &lock); err != nil {
		return nil, fmt.Errorf("read the lock: %w", err)
	}
	for _, s := range lock.Sets {
		if s.Name == set {
			return slices.Sorted(slices.Values(s.Request)), nil
		}
	}
	return nil, fmt.Errorf("read the lock: it has no package set %q", set)
}
