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
		"Packages=linux-image-amd64," + strings.Join(packages, ",") + "\n"
	partition := func(text string) string { return "[Partition]\n" + text }
	definition := dag.Directory().
		WithNewFile("mkosi.conf", configuration).
		WithNewFile("mkosi.repart/00-esp.conf", partition("Type=esp\nFormat=vfat\nCopyFiles=/efi:/\nCopyFiles=/boot:/\nSizeMinBytes=512M\nSizeMaxBytes=512M\n")).
		WithNewFile("mkosi.repart/10-root.conf", partition("Type=root\nFormat=erofs\nCompression=lz4hc\nCopyFiles=/\nMinimize=best\nSplitName=root\nVerity=data\nVerityMatchKey=root\n")).
		WithNewFile("mkosi.repart/20-root-verity.conf", partition("Type=root-verity\nMinimize=best\nVerity=hash\nVerityMatchKey=root\n"))
	ctr := dag.Container().WithRootfs(tools).
		WithDirectory("/definition", definition).
		WithWorkdir("/definition").
		WithMountedTemp("/var/tmp").
		WithMountedTemp("/cache").
		WithMountedTemp("/run").
		WithDirectory("/out", dag.Directory()).
		WithEnvVariable("MANGOS_RUN", time.Now().UTC().Format(time.RFC3339Nano))
	if m.Mirrors != nil {
		ctr = ctr.WithSecretVariable("MANGOS_MIRRORS", m.Mirrors)
	}
	return ctr.
		WithExec([]string{"sh", "-euc", `
			for word in ${MANGOS_MIRRORS:-}; do
				case $word in debian=*)
					mkdir -p /run/mkosi
					printf '[Distribution]\nLocalMirror=%s\n' "${word#debian=}" >/run/mkosi/mirror.conf
					set -- --include=/run/mkosi/mirror.conf ;;
				esac
			done
			mkosi --force "$@" build
			cd /out
			stat --dereference --format='%s %n' image.root*.raw image.efi >sizes`, "sh"},
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		Directory("/out"), nil
}

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
