# The one step of the build: lays the user-data over its place in the ISO.
set -eu
echo begun
case $1 in
hang) sleep 3600 ;;
memory) perl -e 'my @all; push @all, "x" x 10_000_000 while 1' ;;
fill) dd if=/dev/zero of=filling bs=1M ;;
chatter) yes 'a line that is repeated until there are a GiB of it' | head -c 1073741824 ;;
esac
for tick in 1 2 3 4; do
    echo "tick $tick"
    sleep 0.3
done
mkdir out
cp image.iso out/installer.iso
dd if=user-data of=out/installer.iso bs=2048 seek="$(cat offset)" conv=notrunc status=none
cd out
sha256sum installer.iso >installer.iso.sha256
