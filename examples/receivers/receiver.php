<?php
// A receiver for replyd's webhooks in PHP 8 or newer, with nothing but what it brings.
//
//     REPLYD_CRM_SECRET=whsec_... php -S 127.0.0.1:8000 receiver.php
//
// PHP forgets everything between two requests, so the ids that were seen are files in SEEN_DIR.

declare(strict_types=1);

const BODY_MAX = 1024 * 1024;

// Until all is done the answer is a failure, whatever goes wrong: the webhook then comes again.
http_response_code(500);
http_response_code(receive());

// Your own work, done once for each webhook. What it throws makes the webhook come again.
function take(string $body): void
{
    file_put_contents('php://stdout', $body . "\n");
}

// Whether the signature is ours, over these raw bytes, and no more than five minutes old.
function holds(string $id, string $body): bool
{
    $key = base64_decode(preg_replace('/^whsec_/', '', (string) getenv('REPLYD_CRM_SECRET')), true);
    $sent = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    if ($key === false || strlen($key) < 24) {
        throw new RuntimeException('REPLYD_CRM_SECRET is not whsec_ and base64');
    }
    if ($id === '' || !preg_match('/^\d{1,12}$/D', $sent)) {
        return false;
    }
    $mine = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$sent.$body", $key, true));
    $isOurs = false;
    foreach (explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $one) {
        $isOurs = hash_equals($mine, $one) || $isOurs; // in constant time
    }
    return $isOurs && abs(time() - (int) $sent) <= 300;
}

function receive(): int
{
    if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
        return 405;
    }
    $body = file_get_contents('php://input', false, null, 0, BODY_MAX + 1);
    if (strlen($body) > BODY_MAX) {
        return 413;
    }
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    if (!holds($id, $body)) {
        return 401;
    }
    // In earnest: a table with a unique key on the id.
    $folder = getenv('SEEN_DIR') ?: __DIR__ . '/seen';
    if (!is_dir($folder)) {
        mkdir($folder, 0700);
    }
    $lock = fopen("$folder/lock", 'c');
    if ($lock === false || !flock($lock, LOCK_EX)) {
        throw new RuntimeException("$folder cannot be locked");
    }
    $mark = $folder . '/' . hash('sha256', $id);
    if (!is_file($mark)) { // deliveries are at least once: the id is the reply's own, for ever
        take($body);
        if (!touch($mark)) {
            throw new RuntimeException("$mark cannot be written");
        }
    }
    return 204;
}
