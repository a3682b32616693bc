package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Stage is the first argument with which Start calls its own program again,
// inside the new namespaces.
const Stage = "engine-namespace"

// gcConfig bounds the cache. A kernel tree, a few root file systems and images
// are some 15 GB; what was not used for longest goes first.
const gcConfig = `{"logLevel": "info", "gc": {"reservedSpace": "15GB", "maxUsedSpace": "40GB", "minFreeSpace": "5%"}}
`

// enginePath is where the engine finds the programs that it calls by name.
const enginePath = ownDir + "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// outOfMemory makes the engine, and what it runs, the first to be ended where memory runs
// out (proc_pid_oom_score_adj(5)): an engine that grew without bound froze a machine.
const outOfMemory = "500"

// Enter arranges the namespaces that it was started in and becomes the engine; it
// returns only when that fails. The engine writes to fixed places below /etc (it
// replaces resolv.conf and refreshes the CA bundle), /run, /var/lib/cni and /usr/local:
// there it gets a layer of its own, so that nothing of the machine changes and engines
// do not meet.
func Enter(request string) error {
	rec, err := unmarshalRecord(request)
	if err != nil {
		return fmt.Errorf("enter the engine's namespace: %w", err)
	}
	if err := arrange(rec); err != nil {
		return fmt.Errorf("enter the engine's namespace: %w", err)
	}
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(outOfMemory), 0); err != nil {
		return fmt.Errorf("enter the engine's namespace: %w", err)
	}
	cfg := rec.Config
	args := []string{"dagger-engine",
		"--root", DataPath(cfg.State),
		"--addr", Address(cfg.State),
		"--network-name", rec.Network.Name,
		"--network-cidr", rec.Network.CIDR,
		"--oci-worker-binary", cfg.Runc,
		"--oci-cni-binary-dir", cniDir,
		"--allow-insecure-entitlement", "security.insecure",
	}
	env := append([]string{
		"PATH=" + enginePath,
		"HOME=/root",
		"LANG=C.UTF-8",
		// It leaves a folder for each mount that it made; there they go when it ends.
		"TMPDIR=" + filepath.Join(privatePath(cfg.State), temporary),
		"DO_NOT_TRACK=1",
		"DAGGER_GO_SDK_MANIFEST_DIGEST=" + cfg.Digest,
	}, cfg.Env...)
	return fmt.Errorf("become the engine: %w", syscall.Exec(filepath.Join(cfg.Bin, "engine"), args, env))
}

// privatePath is where the engine's namespace has a file system in memory.
func privatePath(state string) string { return filepath.Join(state, "private") }

const (
	// temporary is the engine's folder for temporary files, in its private one.
	temporary = "tmp"
	// ownDir is a folder in the engine's layer over /usr/local.
	ownDir = "/usr/local/lib/mangos-engine"
	// cniDir collects the distribution's CNI plugins and Dagger's own.
	cniDir = ownDir + "/cni"
)

// dnsmasqScript stands before the real dnsmasq, which the engine starts in such
// a way that it wants port 53 of the whole machine: that works for one engine
// alone, and not beside another name server. It is to listen on the engine's
// bridge only.
const dnsmasqScript = "#!/bin/sh\nexec %s --bind-dynamic \"$@\"\n"

// certificatesScript stands before the real program, which the engine calls at
// each start, and which takes seconds: the machine's bundle is up to date.
const certificatesScript = "#!/bin/sh\nexit 0\n"

func arrange(rec Record) error {
	cfg := rec.Config
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	own := privatePath(cfg.State)
	for _, dir := range []string{own, DataPath(cfg.State), "/var/lib/cni"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, dir := range []string{own, "/var/lib/cni"} {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
		}
	}
	// Relative names in the mount options are looked up here, so that no path
	// of the state folder has to be escaped in them.
	if err := os.Chdir(own); err != nil {
		return err
	}
	if err := os.Mkdir(temporary, 0o700); err != nil {
		return err
	}
	for _, dir := range []string{"etc", "run", "usr/local"} {
		if err := overlay(dir); err != nil {
			return err
		}
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	return furnish(cfg)
}

// overlay puts a writable layer over /dir; the working folder is a tmpfs.
func overlay(dir string) error {
	base := filepath.Base(dir)
	for _, d := range []string{base, base + ".work"} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=/%s,upperdir=%s,workdir=%s.work", dir, base, base)
	if err := syscall.Mount("overlay", "/"+dir, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount an overlay on /%s: %w", dir, err)
	}
	return nil
}

// furnish puts what the engine expects at fixed paths where it looks for it.
func furnish(cfg Config) error {
	if err := os.MkdirAll("/etc/dagger", 0o755); err != nil {
		return err
	}
	if err := os.WriteFile("/etc/dagger/engine.json", []byte(gcConfig), 0o644); err != nil {
		return err
	}
	if err := os.MkdirAll(ownDir+"/bin", 0o755); err != nil {
		return err
	}
	for name, script := range map[string]string{
		"dnsmasq":                fmt.Sprintf(dnsmasqScript, cfg.DNSMasq),
		"update-ca-certificates": certificatesScript,
	} {
		if err := os.WriteFile(ownDir+"/bin/"+name, []byte(script), 0o755); err != nil {
			return err
		}
	}
	binds := map[string]string{
		"/usr/local/bin/dagger-init":      filepath.Join(cfg.Bin, "init"),
		"/usr/local/bin/runc":             cfg.Runc,
		"/usr/local/share/dagger/content": cfg.Content,
		cniDir + "/dnsname":               filepath.Join(cfg.Bin, "dnsname"),
	}
	for _, plugin := range CNIPlugins {
		binds[cniDir+"/"+plugin] = filepath.Join(cfg.CNI, plugin)
	}
	for target, source := range binds {
		if err := bind(source, target); err != nil {
			return err
		}
	}
	return nil
}

// CNIPlugins are the distribution's plugins that the engine's network uses.
var CNIPlugins = []string{"bridge", "loopback", "firewall", "host-local"}

// bind makes target, of the same kind as source, and mounts source there.
func bind(source, target string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	if info.IsDir() {
		err = os.MkdirAll(target, 0o755)
	} else if err = os.Remove(target); err == nil || os.IsNotExist(err) {
		// The machine may have a link of that name; in the layer it goes.
		err = os.WriteFile(target, nil, 0o755)
	}
	if err != nil {
		return err
	}
	if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s on %s: %w", source, target, err)
	}
	return nil
}
