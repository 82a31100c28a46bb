<?php
// The official PHP client against a server: one line for each of its methods that is answered here, and what came of it.
//
//     composer require private-packagist/api-client guzzlehttp/guzzle
//     php scripts/php-client.php vendor/autoload.php http://127.0.0.1:8080 KEY SECRET https://git.example.org/acme/lib.git
//
// The organization has no packages yet, and a worker runs. The repository holds acme/lib. Ends with 1 if a method did not do what
// is expected of it.

use PrivatePackagist\ApiClient\Client;
use PrivatePackagist\ApiClient\Exception\ResourceNotFoundException;
use PrivatePackagist\ApiClient\JobHelper;

[, $autoload, $url, $key, $secret, $repository] = $argv;
require $autoload;

$client = new Client(null, $url);
$client->authenticate($key, $secret);
$failed = 0;

function told($value): string
{
    $text = json_encode($value, JSON_UNESCAPED_SLASHES);
    return strlen($text) > 100 ? substr($text, 0, 97) . '...' : $text;
}

// Calls a method and checks what it gives back; null when it failed.
function call(string $method, callable $call, callable $expected)
{
    global $failed;
    try {
        $result = $call();
        $fits = $expected($result);
    } catch (Throwable $error) {
        $failed++;
        echo "FAILED  $method: ", get_class($error), ': ', $error->getMessage(), "\n";
        return null;
    }
    $failed += $fits ? 0 : 1;
    echo $fits ? 'ok      ' : 'FAILED  ', $method, ' ', told($result), "\n";
    return $result;
}

function missing(string $method, callable $call): void
{
    global $failed;
    try {
        $call();
        $failed++;
        echo "FAILED  $method: it was found\n";
    } catch (ResourceNotFoundException $error) {
        echo "ok      $method: ", $error->getMessage(), "\n";
    } catch (Throwable $error) {
        $failed++;
        echo "FAILED  $method: ", get_class($error), ': ', $error->getMessage(), "\n";
    }
}

function archive(string $version): string
{
    $file = tempnam(sys_get_temp_dir(), 'zip');
    $zip = new ZipArchive();
    $zip->open($file, ZipArchive::OVERWRITE);
    $zip->addFromString('composer.json', json_encode(['name' => 'acme/uploaded', 'version' => $version]));
    $zip->addFromString('random', random_bytes(2 << 20));
    $zip->close();
    $bytes = file_get_contents($file);
    unlink($file);
    return $bytes;
}

$is_list = fn ($result) => is_array($result) && array_keys($result) === array_keys(array_keys($result));
$is_empty = fn ($result) => $result === [];
$has_id = fn ($result) => isset($result['id']);
$is_job = fn ($job) => isset($job['id'], $job['status']);
$succeeds = function ($job) use ($client, $is_job) {
    return $is_job($job) && (new JobHelper($client))->waitForJob($job['id'], 60, 1)['status'] === 'success';
};

$credentials = $client->credentials();
$made = call('credentials.create', fn () => $credentials->create('d', 'http-basic', 'git.example.org', 'me', 's3cret'), $has_id);
call('credentials.show', fn () => $credentials->show($made['id']), fn ($c) => $c['credential'] === '');
call('credentials.all', fn () => $credentials->all(), fn ($all) => count($all) === 1);
call('credentials.edit', fn () => $credentials->edit($made['id'], 'http-basic', 'you', 'an0ther'), fn ($c) => $c['username'] === 'you');
call('credentials.update', fn () => $credentials->update($made['id'], 'http-basic', 'us', 'an0ther'), fn ($c) => $c['username'] === 'us');

$packages = $client->packages();
call('packages.all', fn () => $packages->all(), $is_empty);
call('packages.createVcsPackage', fn () => $packages->createVcsPackage($repository), $succeeds);
$custom = json_encode(['name' => 'acme/meta', 'version' => '1.0.0', 'type' => 'metapackage', 'require' => ['acme/lib' => '*']]);
call('packages.createCustomPackage', fn () => $packages->createCustomPackage($custom), $succeeds);
$artifacts = $packages->artifacts();
missing('packages.artifacts.add', fn () => $artifacts->add('acme/uploaded', archive('1.0.0'), 'application/zip', 'a.zip'));
$one = call('packages.artifacts.create', fn () => $artifacts->create(archive('1.0.0'), 'application/zip', 'a.zip'), $has_id);
call('packages.createArtifactPackage', fn () => $packages->createArtifactPackage([$one['id']]), $succeeds);
$two = call('packages.artifacts.add', fn () => $artifacts->add('acme/uploaded', archive('2.0.0'), 'application/zip', 'b.zip'), $has_id);
call('packages.artifacts.show', fn () => $artifacts->show($one['id']), fn ($a) => count($a['artifactPackageFileIds']) === 2);
call('packages.artifacts.showPackageArtifacts', fn () => $artifacts->showPackageArtifacts('acme/uploaded'),
    fn ($all) => array_column($all, 'id') === [$one['id'], $two['id']]);
call('packages.all', fn () => $packages->all(['origin' => 'private']), fn ($all) => count($all) === 3);
call('packages.show', fn () => $packages->show('acme/lib'), fn ($p) => $p['name'] === 'acme/lib' && count($p['versions']) > 0);
call('packages.editVcsPackage', fn () => $packages->editVcsPackage('acme/lib', $repository, null, 'git'), $succeeds);
call('packages.updateVcsPackage', fn () => $packages->updateVcsPackage('acme/lib', $repository), $succeeds);
call('packages.editCustomPackage', fn () => $packages->editCustomPackage('acme/meta', $custom), $succeeds);
call('packages.updateCustomPackage', fn () => $packages->updateCustomPackage('acme/meta', $custom), $succeeds);
call('packages.editArtifactPackage', fn () => $packages->editArtifactPackage('acme/uploaded', [$two['id']]), $succeeds);
call('packages.listDependents', fn () => $packages->listDependents('acme/lib'), fn ($all) => $all[0]['name'] === 'acme/meta');
call('packages.listCustomers', fn () => $packages->listCustomers('acme/lib'), $is_empty);
call('packages.listSecurityIssues', fn () => $packages->listSecurityIssues('acme/lib'), $is_empty);
$config = ['monitorAllBranches' => false, 'monitoredBranches' => ['dev-main']];
call('packages.editSecurityMonitoringConfig', fn () => $packages->editSecurityMonitoringConfig('acme/lib', $config), fn ($c) => $c === $config);
call('packages.showSecurityMonitoringConfig', fn () => $packages->showSecurityMonitoringConfig('acme/lib'), fn ($c) => $c === $config);
$job = $packages->editVcsPackage('acme/lib', $repository);
call('jobs.show', fn () => $client->jobs()->show($job['id']), $is_job);

$issues = $client->securityIssues();
call('securityIssues.all', fn () => $issues->all(['security-issue-state' => 'open']), $is_empty);
missing('securityIssues.show', fn () => $issues->show(12));
missing('securityIssues.open', fn () => $issues->open(12));
missing('securityIssues.close', fn () => $issues->close(12, 'resolved'));
call('synchronizations.all', fn () => $client->synchronizations()->all(), $is_empty);
call('organization.sync', fn () => $client->organization()->sync(), $is_empty);

$mirrors = $client->mirroredRepositories();
$mirror = call('mirroredRepositories.create', fn () => $mirrors->create('P', 'https://repo.example.org', 'add_on_use'), $has_id);
call('mirroredRepositories.show', fn () => $mirrors->show($mirror['id']), $has_id);
call('mirroredRepositories.all', fn () => $mirrors->all(), fn ($all) => count($all) === 1);
call('mirroredRepositories.edit', fn () => $mirrors->edit($mirror['id'], 'Q', 'https://repo.example.org', 'disabled'), fn ($m) => $m['name'] === 'Q');
call('mirroredRepositories.addPackages', fn () => $mirrors->addPackages($mirror['id'], ['acme/pkg']), fn ($jobs) => $is_job($jobs[0]));
call('mirroredRepositories.listPackages', fn () => $mirrors->listPackages($mirror['id']), $is_empty);
call('mirroredRepositories.removePackages', fn () => $mirrors->removePackages($mirror['id']), $is_empty);
call('mirroredRepositories.remove', fn () => $mirrors->remove($mirror['id']), $is_empty);

foreach (['acme/meta', 'acme/uploaded', 'acme/lib'] as $name) {
    call('packages.remove', fn () => $packages->remove($name), $is_empty);
}
missing('packages.show', fn () => $packages->show('acme/lib'));
call('credentials.remove', fn () => $credentials->remove($made['id']), $is_empty);

echo $failed === 0 ? "every method did what is expected\n" : "$failed methods did not\n";
exit($failed === 0 ? 0 : 1);
