//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Budgets of the release proxy.
const (
	maxOverhead    = 200.0    // microseconds for a request
	nginxShare     = 0.9      // of nginx's throughput
	maxProxyMemory = 64 << 20 // bytes, for files of any size

	smallFile, smallSize = "small.raw", 4 << 10
	largeFile, largeSize = "large.raw", 256 << 20
	smallRequests        = 2000
	largeRequests        = 5
)

// measureProxy fetches files from a server directly, through the release proxy and,
// where it is installed, through nginx, in turn.
func measureProxy(ctx context.Context, b *bench) ([]figure, error) {
	folder, err := flatFolder(b.dir)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	files := &http.Server{Handler: http.FileServer(http.Dir(folder)), ReadHeaderTimeout: time.Minute}
	go files.Serve(l)
	defer files.Close()
	ways := []way{{name: "directly", url: "http://" + l.Addr().String()}}
	ours, err := startProxy(ctx, b, ways[0].url)
	if err != nil {
		return nil, err
	}
	defer ours.stop()
	ways = append(ways, way{name: "release proxy", url: ours.url + "/bench"})
	if program, err := exec.LookPath("nginx"); err != nil {
		fmt.Println("nginx is not installed: it is not measured")
	} else {
		theirs, err := startNginx(ctx, program, b.dir, ways[0].url)
		if err != nil {
			return nil, err
		}
		defer theirs.stop()
		ways = append(ways, way{name: "nginx", url: theirs.url})
	}
	for range b.runs {
		if err := runWays(ctx, ways); err != nil {
			return nil, err
		}
	}
	if err := ours.stop(); err != nil {
		return nil, err
	}
	usage, ok := ours.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return nil, errors.New("the system does not say how much memory the proxy took")
	}
	peak := figure{Name: "  its peak memory", Unit: "bytes", Values: []float64{float64(usage.Maxrss << 10)}, Budget: maxProxyMemory}
	return append(proxyFigures(ways), peak), nil
}

// A way is one to get a file, and what was measured of it.
type way struct {
	name, url string
	// The medians of each run: of the small file in microseconds, of the large one in
	// seconds.
	small, large []float64
}

// runWays is a run: each file, each way in turn, so that all have the same weather.
func runWays(ctx context.Context, ways []way) error {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	small, err := inTurn(ctx, client, ways, smallRequests, smallFile, smallSize)
	if err != nil {
		return err
	}
	large, err := inTurn(ctx, client, ways, largeRequests, largeFile, largeSize)
	if err != nil {
		return err
	}
	for i := range ways {
		ways[i].small = append(ways[i].small, small[i]*1e6)
		ways[i].large = append(ways[i].large, large[i])
	}
	return nil
}

// inTurn fetches a file each way in turn, and returns the median of each in seconds.
func inTurn(ctx context.Context, client *http.Client, ways []way, times int, name string, size int64) ([]float64, error) {
	took := make([]figure, len(ways))
	for range times {
		for i, w := range ways {
			seconds, err := fetch(ctx, client, w.url+"/"+name, size)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", w.name, err)
			}
			took[i].Values = append(took[i].Values, seconds)
		}
	}
	medians := make([]float64, len(ways))
	for i, f := range took {
		medians[i] = f.median()
	}
	return medians, nil
}

// fetch fetches a file of a size, and returns how many seconds that took.
func fetch(ctx context.Context, client *http.Client, url string, size int64) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	rsp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer rsp.Body.Close()
	n, err := io.Copy(io.Discard, rsp.Body)
	seconds := time.Since(began).Seconds()
	if err == nil && (rsp.StatusCode != http.StatusOK || n != size) {
		err = fmt.Errorf("%s: %s, %d bytes", url, rsp.Status, n)
	}
	return seconds, err
}

// proxyFigures are the figures of the ways: directly, ours and, if it is there, nginx.
func proxyFigures(ways []way) []figure {
	var figures []figure
	for _, w := range ways[1:] {
		over := figure{Name: w.name + ", overhead of a request", Unit: "us"}
		for run, us := range w.small {
			over.Values = append(over.Values, us-ways[0].small[run])
		}
		figures = append(figures, over)
	}
	for _, w := range ways {
		figures = append(figures, figure{Name: w.name + ", 256 MiB", Unit: "s", Values: w.large})
	}
	figures[0].Budget = maxOverhead
	if len(ways) > 2 {
		ours := slices.IndexFunc(figures, func(f figure) bool { return f.Name == ways[1].name+", 256 MiB" })
		figures[ours].Budget = figure{Values: ways[2].large}.median() / nginxShare
		figures[ours].Note = "budget: 90 % of nginx's throughput"
	}
	return figures
}

// flatFolder makes a folder that is a release as far as the proxy cares: nobody checks
// what it says of the files.
func flatFolder(dir string) (string, error) {
	folder := filepath.Join(dir, "files")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	sums := ""
	for name, size := range map[string]int64{smallFile: smallSize, largeFile: largeSize} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			return "", err
		}
		if err := os.Truncate(path, size); err != nil {
			return "", err
		}
		sums += strings.Repeat("0", 64) + "  " + name + "\n"
	}
	if err := os.WriteFile(filepath.Join(folder, "SHA256SUMS.gpg"), []byte("-"), 0o644); err != nil {
		return "", err
	}
	return folder, os.WriteFile(filepath.Join(folder, "SHA256SUMS"), []byte(sums), 0o644)
}

// A daemon is a server that was started.
type daemon struct {
	cmd *exec.Cmd
	url string
}

// stop asks it to end, and waits. It may be called again.
func (d *daemon) stop() error {
	if d.cmd.ProcessState != nil {
		return nil
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return d.cmd.Wait()
}

// startProxy compiles the release proxy, as it is at HEAD, and starts it as systemd
// does: with a socket that listens, so that nobody has to wait for it.
func startProxy(ctx context.Context, b *bench, backend string) (*daemon, error) {
	program, config := filepath.Join(b.dir, "proxy"), filepath.Join(b.dir, "proxy.json")
	if _, err := command(ctx, b.tree, "go", "build", "-trimpath", "-o", program, "./runtime/cmd/proxy"); err != nil {
		return nil, err
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, `{"repositories": {"bench": {"folder": %q}}, "fresh": "24h", "stale": "24h"}`, backend), 0o644); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	// The shell knows its process number before it becomes the program.
	cmd := exec.CommandContext(ctx, "sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"`, program, "--config", config)
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Stderr = os.Stderr
	return &daemon{cmd: cmd, url: "http://" + l.Addr().String()}, cmd.Start()
}

// nginxConfig takes a folder, an address and a server. Nothing is written to the disk,
// and connections to the server are kept, as ours does.
const nginxConfig = `worker_processes auto;
daemon off;
pid %[1]s/nginx.pid;
error_log stderr;
events {}
http {
	access_log off;
	keepalive_requests 1000000;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/temp;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	upstream files {
		server %[3]s;
		keepalive 16;
		keepalive_requests 1000000;
	}
	server {
		listen %[2]s;
		location / {
			proxy_pass http://files;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_max_temp_file_size 0;
		}
	}
}
`

// startNginx starts nginx before a server, and waits until it listens.
func startNginx(ctx context.Context, program, dir, backend string) (*daemon, error) {
	dir = filepath.Join(dir, "nginx")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(nginxConfig, dir, address, strings.TrimPrefix(backend, "http://"))
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "-c", config, "-e", "stderr")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &daemon{cmd: cmd, url: "http://" + address}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return d, conn.Close()
		}
		if time.Now().After(deadline) {
			_ = d.stop()
			return nil, fmt.Errorf("nginx does not listen: %w", err)
		}
	}
}
