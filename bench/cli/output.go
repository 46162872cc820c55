package cli

import (
	"os"
	"path/filepath"
)

// writeFile puts data at path as a whole or not at all.
func writeFile(path string, data []byte) error {
	tmp, err := writeBeside(path, data)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return fileError(path, err)
	}
	return nil
}

// writeBeside writes a temporary file in path's folder and forces it to disk.
// It leaves nothing when it fails.
func writeBeside(path string, data []byte) (tmp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return f.Name(), err
}

// probe tells whether a file could be written at path, before minutes are spent
// on what goes into it.
func probe(path string) error {
	tmp, err := writeBeside(path, nil)
	if err != nil {
		return fileError(path, err)
	}
	return os.Remove(tmp)
}

// outFolder is the folder of --out. It is opened before the run, so that a run
// of minutes does not end at a folder that cannot be written.
type outFolder struct {
	path string
	made bool // ours: removed again if the run fails
}

func openFolder(path string) (*outFolder, error) {
	if path == "" {
		return nil, nil
	}
	o := &outFolder{path: path}
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return nil, fileError(path, errNotFolder)
	case os.IsNotExist(err):
		if err := os.Mkdir(path, 0o755); err != nil {
			return nil, fileError(path, err)
		}
		o.made = true
	case err != nil:
		return nil, fileError(path, err)
	}
	if err := probe(filepath.Join(path, "result.json")); err != nil {
		o.abandon()
		return nil, err
	}
	return o, nil
}

// writeAll stores all result files or none: all are complete on disk before the
// first takes its name.
func (o *outFolder) writeAll(files []outFile) error {
	temps := make([]string, len(files))
	defer func() {
		for _, tmp := range temps {
			if tmp != "" {
				os.Remove(tmp) // gone already unless something failed
			}
		}
	}()
	for i, f := range files {
		path := filepath.Join(o.path, f.name)
		tmp, err := writeBeside(path, f.data)
		if err != nil {
			return fileError(path, err)
		}
		temps[i] = tmp
	}
	for i, f := range files {
		path := filepath.Join(o.path, f.name)
		if err := os.Rename(temps[i], path); err != nil {
			return fileError(path, err)
		}
		temps[i] = ""
	}
	return nil
}

type outFile struct {
	name string
	data []byte
}

// abandon leaves nothing behind.
func (o *outFolder) abandon() {
	if o != nil && o.made {
		os.Remove(o.path)
	}
}

var errNotFolder = &os.PathError{Op: "open", Err: notFolder{}}

type notFolder struct{}

func (notFolder) Error() string { return "this is a file, and --out needs a folder" }
